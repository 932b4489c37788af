"""One outbox, several readers: each has its own position and counters, an event leaves when all are done."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ferstream.events.privacy import UNRESTRICTED, PrivacyRules
from ferstream.events.schemas import FACE, SUMMARY, TRACK
from ferstream.outbox.entry import Delivery
from ferstream.outbox.outbox import Outbox
from ferstream.outbox.reader import OutboxReader
from ferstream.outbox.store import FILE_NAME
from ferstream.runtime.counters import Counters
from tests.support.brokers import until
from tests.support.outboxes import make_outbox, message

pytestmark = pytest.mark.usefixtures("no_new_threads")


def add_reader(outbox: Outbox, name: str, *schemas: str) -> OutboxReader:
    return outbox.reader(name, schemas=schemas or (FACE, TRACK), on_ready=lambda: None)


def finish(reader: OutboxReader, count: int) -> list[int]:
    """Take and acknowledge ``count`` events, waiting for those that are on disk; their numbers."""
    seqs: list[int] = []

    def step() -> bool:
        taken = reader.take(count - len(seqs))
        reader.acknowledge(taken)
        seqs.extend(delivery.seq for delivery in taken)
        return len(seqs) >= count

    until(step)
    return seqs


def stored(directory: Path) -> list[tuple[int, str]]:
    """Numbers and readers of the rows of a closed file."""
    with sqlite3.connect(directory / FILE_NAME) as db:
        rows = db.execute("SELECT seq, readers FROM events ORDER BY id").fetchall()
    db.close()
    return rows


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    made = make_outbox()
    yield made
    made.close()


def test_each_reader_gets_every_event_in_order(outbox: Outbox) -> None:
    mqtt, kafka = add_reader(outbox, "mqtt"), add_reader(outbox, "kafka")
    for seq in range(10):
        outbox.append(message(seq))
    assert finish(mqtt, 10) == list(range(10))
    assert outbox.events == 10
    assert finish(kafka, 4) == list(range(4))
    assert outbox.events == 6
    assert (mqtt.events, kafka.events) == (0, 6)


def test_a_reader_gets_only_the_schemas_it_wants(outbox: Outbox) -> None:
    mqtt, webhook = add_reader(outbox, "mqtt", FACE, TRACK), add_reader(outbox, "webhook", TRACK, SUMMARY)
    for seq, schema in enumerate((FACE, TRACK, SUMMARY)):
        outbox.append(message(seq, schema=schema))
    assert [delivery.schema for delivery in mqtt.take(9)] == [FACE, TRACK]
    assert [delivery.schema for delivery in webhook.take(9)] == [TRACK, SUMMARY]


def test_an_event_that_no_reader_wants_is_not_kept(outbox: Outbox) -> None:
    add_reader(outbox, "webhook", TRACK)
    outbox.append(message(0))
    assert outbox.events == 0


def test_a_refusal_by_one_reader_does_not_concern_the_other(outbox: Outbox) -> None:
    mqtt, webhook = add_reader(outbox, "mqtt"), add_reader(outbox, "webhook")
    outbox.append(message(0))
    webhook.refuse(webhook.take(1)[0], "rejected")
    assert webhook.counts().dropped == {"rejected": 1}
    assert mqtt.counts().dropped == {}
    assert finish(mqtt, 1) == [0]
    assert outbox.events == 0


def test_a_payload_stays_until_the_last_reader_is_done(outbox: Outbox) -> None:
    mqtt, kafka = add_reader(outbox, "mqtt"), add_reader(outbox, "kafka")
    outbox.append(message(0))
    (slow,) = kafka.take(1)
    finish(mqtt, 1)
    assert slow.payload == message(0).payload


def test_a_reader_that_is_down_costs_the_other_nothing() -> None:
    counters = Counters()
    outbox = make_outbox(max_events=20, observer=counters)
    mqtt, webhook = add_reader(outbox, "mqtt"), add_reader(outbox, "webhook")
    got: list[int] = []
    for seq in range(100):
        outbox.append(message(seq))
        got += finish(mqtt, 1)
    assert got == list(range(100))
    assert mqtt.counts().dropped == {}
    assert webhook.counts().dropped == {"max_events": 80}
    assert counters.snapshot().counts["outbox_dropped", "max_events"] == 80
    assert finish(webhook, 20) == list(range(80, 100))


def test_an_event_that_gives_way_is_counted_for_every_reader_that_lost_it() -> None:
    outbox = make_outbox(max_events=1)
    mqtt, webhook = add_reader(outbox, "mqtt"), add_reader(outbox, "webhook")
    outbox.append(message(0))
    outbox.append(message(1))
    assert mqtt.counts().dropped == webhook.counts().dropped == {"max_events": 1}


@pytest.mark.parametrize("name", ["mqtt", "", "a,b", "two words"])
def test_a_name_that_is_taken_or_cannot_be_stored_is_an_error(outbox: Outbox, name: str) -> None:
    add_reader(outbox, "mqtt")
    with pytest.raises(ValueError, match="name of a reader"):
        add_reader(outbox, name)


def test_a_reader_cannot_be_added_to_an_open_outbox(outbox: Outbox) -> None:
    outbox.open()
    with pytest.raises(ValueError, match="before the outbox is opened"):
        add_reader(outbox, "late")


class TestAcrossRestarts:
    def test_each_reader_continues_where_it_was(self, tmp_path: Path) -> None:
        first = make_outbox(tmp_path)
        mqtt, _ = add_reader(first, "mqtt"), add_reader(first, "kafka")
        first.open()
        for seq in range(10):
            first.append(message(seq))
        assert first.flush(20) == 0
        finish(mqtt, 7)
        assert first.close()
        assert [seq for seq, readers in stored(tmp_path) if "mqtt" in readers] == [7, 8, 9]
        second = make_outbox(tmp_path)
        mqtt, kafka = add_reader(second, "mqtt"), add_reader(second, "kafka")
        second.open()
        assert finish(mqtt, 3) == [7, 8, 9]
        assert finish(kafka, 10) == list(range(10))
        assert (mqtt.counts().recovered, kafka.counts().recovered) == (3, 10)
        assert second.close()
        assert stored(tmp_path) == []

    def test_an_event_acknowledged_by_one_reader_before_it_is_written_is_stored_for_the_other(self, tmp_path: Path) -> None:
        outbox = make_outbox(tmp_path)
        mqtt, _ = add_reader(outbox, "mqtt"), add_reader(outbox, "kafka")
        outbox.append(message(0))
        finish(mqtt, 1)
        outbox.open()
        assert outbox.close()
        assert stored(tmp_path) == [(0, "kafka")]

    def test_events_of_a_sink_that_was_taken_out_are_dropped_and_counted(self, tmp_path: Path) -> None:
        first = make_outbox(tmp_path)
        add_reader(first, "kafka")
        first.open()
        first.append(message(0))
        assert first.close()
        counters = Counters()
        second = make_outbox(tmp_path, observer=counters)
        mqtt = add_reader(second, "mqtt")
        second.open()
        assert mqtt.events == second.events == 0
        assert counters.snapshot().counts["outbox_dropped", "no_sink"] == 1
        assert second.close()
        assert stored(tmp_path) == []

    def test_a_sink_that_was_added_gets_new_events_only(self, tmp_path: Path) -> None:
        first = make_outbox(tmp_path)
        add_reader(first, "mqtt")
        first.open()
        first.append(message(0))
        assert first.close()
        second = make_outbox(tmp_path)
        mqtt, kafka = add_reader(second, "mqtt"), add_reader(second, "kafka")
        second.open()
        second.append(message(1))
        assert finish(mqtt, 2) == [0, 1]
        assert finish(kafka, 1) == [1]
        assert second.close()

    def test_a_file_of_version_1_belongs_to_mqtt(self, tmp_path: Path) -> None:
        write_version_1(tmp_path, FACE)
        outbox = make_outbox(tmp_path)
        mqtt, kafka = add_reader(outbox, "mqtt"), add_reader(outbox, "kafka")
        outbox.open()
        assert finish(mqtt, 1) == [7]
        assert kafka.events == 0
        assert outbox.close()

    @pytest.mark.parametrize(("privacy", "dropped"), [(PrivacyRules(aggregate_only=True), {"privacy": 1}), (UNRESTRICTED, {})])
    def test_a_summary_in_a_file_of_version_1_is_dropped_with_aggregate_only(
        self, tmp_path: Path, privacy: PrivacyRules, dropped: dict[str, int]
    ) -> None:
        write_version_1(tmp_path, SUMMARY)
        outbox = make_outbox(tmp_path, privacy=privacy)
        mqtt = add_reader(outbox, "mqtt", SUMMARY)
        outbox.open()
        assert mqtt.counts().dropped == dropped
        assert outbox.close()


def write_version_1(directory: Path, schema: str) -> None:
    """Write the file that ferstream 0.1.0 leaves when one event waits."""
    with sqlite3.connect(directory / FILE_NAME) as db:
        db.execute(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, camera TEXT NOT NULL, schema TEXT NOT NULL, boot_id TEXT NOT NULL,"
            " seq INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL)"
        )
        crc = zlib.crc32(b"{}", zlib.crc32(f"door\0{schema}\0b\x007\0".encode()))
        db.execute("INSERT INTO events VALUES (1, 'door', ?, 'b', 7, ?, ?)", (schema, crc, b"{}"))
        db.execute("PRAGMA user_version=1")
    db.close()


class ReadersAgainstLists(RuleBasedStateMachine):
    """Two readers and a limit; the model: per reader a list of what waits and of what is in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = make_outbox(max_events=8, max_bytes=10_000)
        self.readers = [add_reader(self.outbox, "one", FACE), add_reader(self.outbox, "two", FACE, TRACK)]
        self.waiting: list[list[int]] = [[], []]
        self.flight: list[list[Delivery]] = [[], []]
        self.seq = 0

    def _held(self) -> set[int]:
        return {seq for waiting in self.waiting for seq in waiting} | {d.seq for flight in self.flight for d in flight}

    @rule(schema=st.sampled_from([FACE, TRACK]))
    def append(self, schema: str) -> None:
        self.outbox.append(message(self.seq, schema=schema))
        for reader, waiting in zip(self.readers, self.waiting, strict=True):
            if schema in reader.schemas:
                waiting.append(self.seq)
        self.seq += 1
        while len(self._held()) > 8 and any(self.waiting):
            oldest = min(seq for waiting in self.waiting for seq in waiting)
            for waiting in self.waiting:
                if oldest in waiting:
                    waiting.remove(oldest)

    @rule(which=st.integers(0, 1), limit=st.integers(0, 4))
    def take(self, which: int, limit: int) -> None:
        taken = self.readers[which].take(limit)
        assert [delivery.seq for delivery in taken] == self.waiting[which][:limit]
        del self.waiting[which][:limit]
        self.flight[which] += taken

    @precondition(lambda self: any(self.flight))
    @rule(data=st.data(), refuse=st.booleans())
    def finish_one(self, data: Any, refuse: bool) -> None:
        which = data.draw(st.sampled_from([n for n in (0, 1) if self.flight[n]]))
        delivery = data.draw(st.sampled_from(self.flight[which]))
        if refuse:
            self.readers[which].refuse(delivery, "rejected")
        else:
            self.readers[which].acknowledge([delivery])
        self.flight[which].remove(delivery)

    @rule(which=st.integers(0, 1))
    def give_back(self, which: int) -> None:
        assert self.readers[which].give_back() == len(self.flight[which])
        self.waiting[which] = sorted(self.waiting[which] + [delivery.seq for delivery in self.flight[which]])
        self.flight[which] = []

    @invariant()
    def every_event_is_counted(self) -> None:
        assert self.outbox.events == len(self._held())
        for reader, waiting, flight in zip(self.readers, self.waiting, self.flight, strict=True):
            assert reader.counts().balanced
            assert reader.events == len(waiting) + len(flight)


TestReadersAgainstLists = ReadersAgainstLists.TestCase
TestReadersAgainstLists.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_limits_below_one_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make_outbox(max_events=0)
    with pytest.raises(ValueError, match="at least 1"):
        make_outbox(max_bytes=0)
