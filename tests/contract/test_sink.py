"""One suite over every sink: the file, the pipe, the table, and MQTT with and without a broker and a disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.domain.event import CameraState, CameraStatus, Event, Summary
from ferstream.events.encode import Encoder, ModelRef
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.jsonl import JsonlSink
from ferstream.sinks.table.sink import TableSink
from tests.support.builders import UTC_NS, face_event, track_event
from tests.support.mqtt_output import MqttOutput
from tests.support.scripted_broker import CONNECT, PUBLISH, ScriptedBroker, connack, puback, qos_of

pytestmark = pytest.mark.usefixtures("no_new_threads")

EVENTS: tuple[Event, ...] = (
    face_event(),
    track_event(),
    Summary("door", UTC_NS, 10.0, {"happy": 3}, 1),
    CameraState("door", CameraStatus.OFFLINE, "no answer", UTC_NS),
)


def accept(kind: int, packet: bytes) -> bytes:
    """A broker that takes everything."""
    if kind == CONNECT:
        return connack()
    return puback(packet) if kind == PUBLISH and qos_of(packet) else b""


def make(kind: str, tmp_path: Path, url: str) -> SinkSet:
    """A sink and its outbox, if it has one."""
    if kind in ("file", "stdout", "table"):
        encoder = Encoder(node="n", boot_id="b", model=ModelRef("m", "1"), clock=SystemClock())
        jsonl = JsonlSink(path=str(tmp_path / "events.jsonl")) if kind == "file" else JsonlSink(path="-", stdout=io.BytesIO())
        sink = TableSink(path=tmp_path / "events.csv") if kind == "table" else jsonl
        return SinkSet(encoder=encoder, sinks=(sink,), observer=Counters())
    return MqttOutput(
        "mqtt://127.0.0.1:9" if kind == "mqtt without a broker" else url,
        directory=None if kind == "mqtt in memory" else tmp_path / "outbox",
    )


@pytest.fixture(params=["file", "stdout", "table", "mqtt in memory", "mqtt", "mqtt without a broker"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SinkSet]:
    with ScriptedBroker(accept) as broker:
        sink = make(request.param, tmp_path, broker.url)
        yield sink
        sink.close()


def test_everything_taken_is_safe_after_a_flush(sink: SinkSet) -> None:
    sink.open()
    for event in EVENTS * 50:
        sink.write(event)
    assert sink.flush(20) == 0


def test_a_flush_of_nothing_returns_at_once(sink: SinkSet) -> None:
    sink.open()
    assert sink.flush(60) == 0


def test_close_twice_and_close_unopened(sink: SinkSet) -> None:
    sink.close()
    sink.close()


def test_close_after_use_leaves_no_thread(sink: SinkSet) -> None:
    sink.open()
    for event in EVENTS:
        sink.write(event)
    sink.close()
    sink.close()


def test_every_sink_of_a_set_has_a_name_and_a_status(sink: SinkSet) -> None:
    (only,) = sink.sinks
    assert only.status().name == only.name
    assert sink.status(only.name) is not None
