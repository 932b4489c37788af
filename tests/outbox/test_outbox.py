"""The outbox with real files: nothing lost, everything accounted for, whatever the disk does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.events.privacy import UNRESTRICTED, PrivacyRules
from ferstream.outbox.entry import Delivery
from ferstream.outbox.store import FILE_NAME
from ferstream.outbox.timings import OutboxTimings
from ferstream.runtime.counters import Counters
from tests.support.outboxes import WAIT_S, OneReader, Ready, drain, message, rows


class TestWithoutDisk:
    def test_hands_out_in_order_and_counts_every_event(self, make: Callable[..., OneReader]) -> None:
        outbox = make(None)
        outbox.open()
        for seq in range(10):
            outbox.append(message(seq))
        items = outbox.take(4)
        assert [item.seq for item in items] == [0, 1, 2, 3]
        outbox.acknowledge(items[:2])
        counts = outbox.counts()
        assert (counts.accepted, counts.acknowledged, counts.events, counts.bytes) == (10, 2, 8, 8 * 40)
        assert counts.balanced
        assert outbox.flush(0.01) == 8

    def test_unanswered_events_come_again_in_their_old_place(self, make: Callable[..., OneReader]) -> None:
        outbox = make(None)
        for seq in range(6):
            outbox.append(message(seq))
        items = outbox.take(4)
        outbox.acknowledge([items[1]])
        assert outbox.give_back() == 3
        assert [item.seq for item in outbox.take(10)] == [0, 2, 3, 4, 5]

    def test_an_answer_after_a_reconnect_counts_once(self, make: Callable[..., OneReader]) -> None:
        outbox = make(None)
        outbox.append(message(0))
        items = outbox.take(1)
        outbox.acknowledge(items)
        outbox.acknowledge(items)
        assert outbox.counts().acknowledged == 1
        assert outbox.counts().balanced

    @pytest.mark.parametrize(("limits", "reason", "kept"), [({"max_events": 3}, "max_events", 3), ({"max_bytes": 100}, "max_bytes", 2)])
    def test_the_oldest_give_way_and_are_counted(
        self, make: Callable[..., OneReader], observer: Counters, limits: dict[str, int], reason: str, kept: int
    ) -> None:
        outbox = make(None, **limits)
        for seq in range(10):
            outbox.append(message(seq))
        assert [item.seq for item in outbox.take(99)] == list(range(10 - kept, 10))
        assert outbox.dropped == {reason: 10 - kept}
        assert observer.snapshot().counts["outbox_dropped", reason] == 10 - kept
        assert outbox.counts().balanced

    def test_cameras_take_turns_so_that_a_backlog_starves_nobody(self, make: Callable[..., OneReader]) -> None:
        outbox = make(None)
        for seq in range(1000):
            outbox.append(message(seq, "busy"))
        outbox.append(message(0, "quiet"))
        assert "quiet" in [item.camera for item in outbox.take(2)]

    def test_a_rejected_event_is_dropped_with_its_reason(self, make: Callable[..., OneReader]) -> None:
        outbox = make(None)
        outbox.append(message(0))
        outbox.append(message(1))
        outbox.refuse(outbox.take(1)[0], "rejected")
        assert outbox.dropped == {"rejected": 1}
        assert [item.seq for item in outbox.take(9)] == [1]
        assert outbox.counts().balanced

    def test_an_event_that_could_not_be_made_is_accounted_for(self, make: Callable[..., OneReader]) -> None:
        outbox = make(None)
        outbox.outbox.count_dropped("invalid")
        assert outbox.counts().accepted == 1
        assert outbox.counts().balanced

    def test_wait_empty_returns_when_the_last_is_acknowledged(self, make: Callable[..., OneReader]) -> None:
        outbox = make(None)
        outbox.append(message(0))
        assert not outbox.wait_empty(0.01)
        answering = threading.Thread(target=lambda: outbox.acknowledge(outbox.take(1)))
        answering.start()
        assert outbox.wait_empty(WAIT_S)
        answering.join()


class TestOnDisk:
    def test_the_file_stays_empty_while_the_broker_answers(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        outbox = make(tmp_path)
        outbox.open()
        for seq in range(500):
            outbox.append(message(seq))
            outbox.acknowledge(outbox.take(9))
        outbox.close()
        assert rows(tmp_path) == []
        assert outbox.counts().events == 0

    def test_flush_makes_everything_safe(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        outbox = make(tmp_path)
        outbox.open()
        for seq in range(100):
            outbox.append(message(seq))
        assert outbox.flush(WAIT_S) == 0
        outbox.close()
        assert rows(tmp_path) == list(range(100))

    def test_close_alone_writes_what_is_left(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        outbox = make(tmp_path)
        outbox.open()
        for seq in range(100):
            outbox.append(message(seq))
        outbox.take(10)
        assert outbox.close()
        assert outbox.thread is not None and not outbox.thread.is_alive()
        assert rows(tmp_path) == list(range(100))

    def test_the_next_run_sends_leftovers_first_and_in_order(self, make: Callable[..., OneReader], tmp_path: Path, ready: Ready) -> None:
        first = make(tmp_path)
        first.open()
        for seq in range(5000):
            first.append(message(seq, f"cam{seq % 3}"))
        first.close()
        second = make(tmp_path)
        second.open()
        for seq in range(30):
            second.append(message(seq, f"cam{seq % 3}", boot_id="later"))
        got = drain(second, ready, 5030)
        second.close()
        for camera in ("cam0", "cam1", "cam2"):
            seqs = [(item.boot_id == "later", item.seq) for item in got if item.camera == camera]
            assert seqs == sorted(seqs)
        counts = second.counts()
        assert (counts.recovered, counts.accepted, counts.acknowledged, counts.events) == (5000, 30, 5030, 0)
        assert counts.balanced
        assert rows(tmp_path) == []

    def test_payloads_leave_memory_and_come_back_whole(self, make: Callable[..., OneReader], tmp_path: Path, ready: Ready) -> None:
        outbox = make(tmp_path)
        outbox.open()
        for seq in range(9000):
            outbox.append(message(seq, size=100))
        assert outbox.flush(WAIT_S) == 0
        taken = outbox.take(9000)
        assert len(taken) < 6000
        outbox.give_back()
        payloads: list[bytes] = []
        ready.until(lambda: _keep(outbox.take(500), payloads, outbox) >= 9000)
        outbox.close()
        assert payloads == [message(seq, size=100).payload for seq in range(9000)]

    def test_overflow_drops_the_oldest_from_the_file_too(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        outbox = make(tmp_path, max_events=50)
        outbox.open()
        for seq in range(50):
            outbox.append(message(seq))
        assert outbox.flush(WAIT_S) == 0
        for seq in range(50, 120):
            outbox.append(message(seq))
        assert outbox.counts().balanced
        outbox.close()
        assert rows(tmp_path) == list(range(70, 120))
        assert outbox.dropped == {"max_events": 70}

    def test_smaller_limits_are_applied_to_what_is_left(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        first = make(tmp_path)
        first.open()
        for seq in range(100):
            first.append(message(seq))
        first.close()
        second = make(tmp_path, max_events=10)
        second.open()
        assert second.events == 10
        second.close()
        assert rows(tmp_path) == list(range(90, 100))

    def test_single_faces_of_an_earlier_run_are_dropped_when_only_sums_may_leave(
        self, make: Callable[..., OneReader], tmp_path: Path, observer: Counters
    ) -> None:
        first = make(tmp_path)
        first.open()
        for seq, schema in enumerate(("ferstream.face/1", "ferstream.track/1", "ferstream.summary/1")):
            first.append(message(seq, schema=schema))
        first.close()
        second = make(tmp_path, privacy=PrivacyRules(aggregate_only=True, min_group_size=5))
        second.open()
        assert second.events == 0  # the summary too: it may be about one face
        assert second.dropped == {"privacy": 3}
        assert observer.snapshot().counts["outbox_dropped", "privacy"] == 3
        second.close()
        assert second.counts().balanced
        assert rows(tmp_path) == []

    @pytest.mark.parametrize(
        ("before", "now", "kept"),
        [
            (PrivacyRules(aggregate_only=True, min_group_size=5), PrivacyRules(aggregate_only=True, min_group_size=5), True),
            (PrivacyRules(aggregate_only=True, min_group_size=9), PrivacyRules(aggregate_only=True, min_group_size=5), True),
            (PrivacyRules(aggregate_only=True, min_group_size=4), PrivacyRules(aggregate_only=True, min_group_size=5), False),
            (PrivacyRules(aggregate_only=True, min_group_size=10**12), PrivacyRules(aggregate_only=True, min_group_size=5), True),
            (UNRESTRICTED, PrivacyRules(aggregate_only=True), False),
            (PrivacyRules(aggregate_only=True), UNRESTRICTED, True),
        ],
    )
    def test_a_summary_of_an_earlier_run_is_kept_if_its_groups_were_large_enough(
        self, make: Callable[..., OneReader], tmp_path: Path, before: PrivacyRules, now: PrivacyRules, kept: bool
    ) -> None:
        first = make(tmp_path, privacy=before)
        first.open()
        first.append(message(0, schema="ferstream.summary/1"))
        assert first.flush(WAIT_S) == 0
        first.close()
        second = make(tmp_path, privacy=now)
        second.open()
        assert second.events == (1 if kept else 0)
        second.close()

    def test_rules_that_became_loose_for_one_run_count_for_the_next(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        strict = PrivacyRules(aggregate_only=True, min_group_size=5)
        for seq, rules in enumerate((strict, UNRESTRICTED)):
            run = make(tmp_path, privacy=rules)
            run.open()
            run.append(message(seq, schema="ferstream.summary/1"))
            run.close()
        third = make(tmp_path, privacy=strict)
        third.open()
        assert third.events == 0
        third.close()

    def test_a_second_ferstream_works_in_memory_until_the_first_ends(
        self, make: Callable[..., OneReader], tmp_path: Path, ready: Ready
    ) -> None:
        first, second = make(tmp_path), make(tmp_path, timings=OutboxTimings(spill_after_s=0.05, retry_s=0.05, lock_wait_s=0.0))
        first.open()
        second.open()
        assert "in use by another process; give each ferstream its own outbox.path" in (second.degraded or "")
        first.append(message(0))
        second.append(message(1))
        assert [delivery.seq for delivery in second.take(10)] == [1]
        second.give_back()
        first.close()
        ready.until(lambda: second.degraded is None)
        assert [delivery.seq for delivery in drain(second, ready, 2)] == [0, 1]
        second.close()

    def test_the_file_shrinks_after_an_outage(self, make: Callable[..., OneReader], tmp_path: Path, ready: Ready) -> None:
        outbox = make(tmp_path)
        outbox.open()
        for seq in range(3000):
            outbox.append(message(seq, size=700))
        assert outbox.flush(WAIT_S) == 0
        drain(outbox, ready, 3000)
        outbox.close()
        assert (tmp_path / FILE_NAME).stat().st_size < 100_000

    def test_only_the_owner_can_read_it(self, make: Callable[..., OneReader], tmp_path: Path) -> None:
        outbox = make(tmp_path / "new")
        outbox.open()
        outbox.close()
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0
        assert (tmp_path / "new" / FILE_NAME).stat().st_mode & 0o077 == 0


def _keep(items: list[Delivery], payloads: list[bytes], outbox: OneReader) -> int:
    payloads.extend(item.payload or b"" for item in items)
    outbox.acknowledge(items)
    return len(payloads)
