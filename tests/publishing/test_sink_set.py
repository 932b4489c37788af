"""All sinks of a run: encoding once, isolation of failures, life in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.domain.face import Box
from ferstream.domain.ports import Sink, SinkStatus
from ferstream.errors import ConfigError, OutputError
from ferstream.events.encode import Encoder
from ferstream.events.schemas import FACE, SCHEMAS
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from tests.support.builders import face_event
from tests.support.outboxes import make_outbox
from tests.support.recording_sink import CameraSink, RecordingSink

pytestmark = pytest.mark.usefixtures("no_new_threads")


@pytest.fixture
def make(encoder: Encoder, observer: Counters) -> Callable[..., SinkSet]:
    def build(*sinks: Sink, **options: object) -> SinkSet:
        return SinkSet(encoder=encoder, sinks=sinks, observer=observer, **options)  # type: ignore[arg-type]

    return build


def test_every_sink_gets_the_same_message(make: Callable[..., SinkSet]) -> None:
    first, second = RecordingSink("first"), RecordingSink("second")
    sinks = make(first, second)
    sinks.write(face_event())
    assert first.messages[0] is second.messages[0]
    assert (first.messages[0].schema, first.messages[0].seq) == (FACE, 0)


def test_a_sink_that_fails_costs_the_others_nothing_and_is_counted(
    make: Callable[..., SinkSet], observer: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = RecordingSink("broken"), RecordingSink("sound")
    broken.write_error = RuntimeError("no room")
    sinks = make(broken, sound)
    for index in range(3):
        sinks.write(face_event(index))
    assert [message.seq for message in sound.messages] == [0, 1, 2]
    assert observer.snapshot().counts["sink_failures", "broken"] == 3
    assert caplog.text.count("broken: an event was lost: no room") == 1


def test_failures_reach_the_callback(make: Callable[..., SinkSet]) -> None:
    failures: list[tuple[str, Exception]] = []
    broken = RecordingSink("broken")
    broken.write_error = OutputError("disk is full")
    make(broken, on_failure=lambda name, error: failures.append((name, error))).write(face_event())
    assert [(name, str(error)) for name, error in failures] == [("broken", "disk is full")]


def test_an_event_that_cannot_be_encoded_is_counted_for_every_reader(
    make: Callable[..., SinkSet], observer: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = make_outbox(observer=observer)
    reader = outbox.reader("mqtt", schemas=SCHEMAS, on_ready=lambda: None)
    sink = RecordingSink()
    sinks = make(sink, outbox=outbox)
    event = face_event()
    broken = dataclasses.replace(event, face=dataclasses.replace(event.face, box=Box(float("nan"), 0, 1, 1)))
    sinks.write(broken)
    sinks.write(broken)
    sinks.write(event)
    assert reader.counts().dropped == {"invalid": 2}
    assert reader.counts().balanced
    assert [message.seq for message in sink.messages] == [2]
    assert caplog.text.count("encoder: an event was lost") == 1


def test_messages_go_to_the_outbox_for_the_readers_that_want_them(make: Callable[..., SinkSet]) -> None:
    outbox = make_outbox()
    reader = outbox.reader("mqtt", schemas=(FACE,), on_ready=lambda: None)
    sinks = make(outbox=outbox)
    sinks.write(face_event())
    sinks.write(CameraState("door", CameraStatus.ONLINE, "", 0))
    assert [delivery.schema for delivery in reader.take(9)] == [FACE]


def test_sinks_are_opened_flushed_and_closed_in_order(make: Callable[..., SinkSet]) -> None:
    log: list[str] = []
    sinks = make(RecordingSink("a", log=log), RecordingSink("b", log=log))
    sinks.open()
    assert sinks.flush(1) == 0
    sinks.close()
    assert log == ["open a", "open b", "flush a", "flush b", "close a", "close b"]


def test_a_sink_that_cannot_be_opened_closes_the_others(make: Callable[..., SinkSet], tmp_path: Path) -> None:
    log: list[str] = []
    first, second = RecordingSink("first", log=log), RecordingSink("second", log=log)
    second.open_error = ConfigError("no such folder")
    outbox = make_outbox(tmp_path)
    outbox.reader("mqtt", schemas=SCHEMAS, on_ready=lambda: None)
    with pytest.raises(ConfigError, match="no such folder"):
        make(first, second, outbox=outbox).open()
    assert log == ["open first", "open second", "close first", "close second"]
    assert outbox.thread is not None and not outbox.thread.is_alive()


def test_what_can_fail_without_a_network_is_known_before_a_connection_is_made(make: Callable[..., SinkSet]) -> None:
    class NetworkSink(RecordingSink):
        """Connects when it is opened."""

        def check(self) -> None:
            """Record the call."""
            self.log.append(f"check {self.name}")
            if self.write_error is not None:
                raise self.write_error

    log: list[str] = []
    mqtt, file, webhook = NetworkSink("mqtt", log=log), RecordingSink("file", log=log), NetworkSink("webhook", log=log)
    make(mqtt, file, webhook).open()
    assert log == ["check mqtt", "check webhook", "open file", "open mqtt", "open webhook"]
    log.clear()
    webhook.write_error = ConfigError("no such certificate")
    with pytest.raises(ConfigError, match="no such certificate"):
        make(mqtt, file, webhook).open()
    assert log == ["check mqtt", "check webhook", "close mqtt", "close file", "close webhook"]


def test_close_closes_every_sink_and_raises_the_first_error(make: Callable[..., SinkSet]) -> None:
    log: list[str] = []
    first, second = RecordingSink("first", log=log), RecordingSink("second", log=log)
    first.close_error = OutputError("disk is full")
    with pytest.raises(OutputError, match="disk is full"):
        make(first, second).close()
    assert log == ["close first", "close second"]


def test_flush_adds_up_what_is_neither_delivered_nor_stored(make: Callable[..., SinkSet]) -> None:
    outbox = make_outbox()
    outbox.reader("mqtt", schemas=SCHEMAS, on_ready=lambda: None)
    sink = RecordingSink()
    sink.unflushed = 2
    sinks = make(sink, outbox=outbox)
    sinks.write(face_event())
    assert sinks.flush(0.01) == 3


def test_a_durable_outbox_keeps_what_is_not_delivered(make: Callable[..., SinkSet], tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    outbox.reader("mqtt", schemas=SCHEMAS, on_ready=lambda: None)
    sinks = make(outbox=outbox)
    sinks.open()
    sinks.write(face_event())
    assert sinks.flush(20) == 0
    sinks.close()


def test_only_sinks_that_keep_cameras_hear_of_them(make: Callable[..., SinkSet]) -> None:
    log: list[str] = []
    sinks = make(RecordingSink("plain", log=log), CameraSink("cameras", log=log))
    sinks.remember_camera("door")
    sinks.forget_camera("door")
    assert log == ["remember door", "forget door"]


def test_the_status_of_a_sink_is_found_by_its_name(make: Callable[..., SinkSet]) -> None:
    sinks = make(RecordingSink("a"), RecordingSink("b"))
    assert [status.name for status in sinks.statuses()] == ["a", "b"]
    assert sinks.status("b") == SinkStatus("b", True)
    assert sinks.status("c") is None
