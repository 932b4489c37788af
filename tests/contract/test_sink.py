"""One suite over every sink: the file, the pipe, and MQTT with and without a broker and a disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.domain.event import CameraState, CameraStatus, Event, Summary
from ferstream.domain.ports import Sink
from ferstream.events.encode import Encoder, ModelRef
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.jsonl import JsonlSink
from ferstream.sinks.mqtt.connection import BrokerAddress
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics
from tests.support.builders import UTC_NS, face_event, track_event
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


def make(kind: str, tmp_path: Path, url: str) -> Sink:
    encoder = Encoder(node="n", boot_id="b", model=ModelRef("m", "1"), clock=SystemClock())
    if kind == "file":
        return JsonlSink(path=str(tmp_path / "events.jsonl"), encoder=encoder)
    if kind == "stdout":
        return JsonlSink(path="-", encoder=encoder, stdout=io.BytesIO())
    return MqttSink(
        address=BrokerAddress(url=url if kind != "mqtt without a broker" else "mqtt://127.0.0.1:9", client_id="c"),
        topics=Topics(prefix="p", node="n"),
        encoder=encoder,
        observer=Counters(),
        outbox_directory=None if kind == "mqtt in memory" else tmp_path / "outbox",
    )


@pytest.fixture(params=["file", "stdout", "mqtt in memory", "mqtt", "mqtt without a broker"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sink]:
    with ScriptedBroker(accept) as broker:
        sink = make(request.param, tmp_path, broker.url)
        yield sink
        sink.close()


def test_everything_taken_is_safe_after_a_flush(sink: Sink) -> None:
    sink.open()
    for event in EVENTS * 50:
        sink.put(event)
    assert sink.flush(20) == 0


def test_a_flush_of_nothing_returns_at_once(sink: Sink) -> None:
    sink.open()
    assert sink.flush(60) == 0


def test_close_twice_and_close_unopened(sink: Sink) -> None:
    sink.close()
    sink.close()


def test_close_after_use_leaves_no_thread(sink: Sink) -> None:
    sink.open()
    for event in EVENTS:
        sink.put(event)
    sink.close()
    sink.close()
