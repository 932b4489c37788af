"""The state of a running daemon as read from its parts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ferstream.app.broker import broker_for
from ferstream.app.running import Running
from ferstream.domain.ports import SinkStatus
from ferstream.events.encode import Encoder
from ferstream.events.schemas import FACE
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings
from tests.support.builders import face_event
from tests.support.clock import FakeClock
from tests.support.outboxes import make_outbox
from tests.support.recording_sink import CameraSink, RecordingSink
from tests.support.running import running_of

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


def published(running: Running, frames: int) -> None:
    """Count frames of camera door that were analysed to the end."""
    for _ in range(frames):
        running.pipeline.counters.frame("door", "publishing")
        running.pipeline.counters.frame("door", "capture")


def mqtt(*, connected: bool) -> RecordingSink:
    sink = RecordingSink("mqtt")
    sink.connected = connected
    return sink


def sink_set(encoder: Encoder, *sinks: RecordingSink) -> SinkSet:
    return SinkSet(encoder=encoder, sinks=sinks, observer=Counters())


def test_frames_per_second_are_the_mean_since_the_last_status_line(make_settings: MakeSettings, models: Models) -> None:
    clock = FakeClock()
    running = running_of(make_settings(), models=models, clock=clock)
    published(running, 30)
    clock.advance(2.0)
    assert running.status_line().startswith("15.0 fps")
    published(running, 50)
    clock.advance(10.0)
    assert running.status_line().startswith("5.0 fps")
    clock.advance(1.0)
    assert running.status_line().startswith("0.0 fps")


def test_the_model_is_named_with_its_cost(make_settings: MakeSettings, models: Models) -> None:
    label = running_of(make_settings(), models=models, clock=FakeClock()).model_label()
    assert re.fullmatch(r"tiny/1\.0\.0 on openvino:CPU, \d+\.\d\d ms a face", label)


def test_two_status_lines_at_the_same_moment(make_settings: MakeSettings, models: Models) -> None:
    running = running_of(make_settings(), models=models, clock=FakeClock())
    assert running.status_line() == running.status_line()


def test_the_status_line_names_cameras_queues_broker_and_outbox(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    outbox = make_outbox()
    outbox.reader("mqtt", schemas=(FACE,), on_ready=lambda: None)
    output = SinkSet(encoder=encoder, sinks=(mqtt(connected=False),), observer=Counters(), outbox=outbox)
    settings = make_settings(cameras=[{"name": "door", "source": "demo:"}, {"name": "hall", "source": "demo:", "enabled": False}])
    running = running_of(settings, models=models, outputs=[output], clock=FakeClock())
    running.cameras.start(settings.cameras)
    running.pipeline.counters.camera_up("door", up=True)
    output.write(face_event())
    line = running.status_line()
    running.pipeline.start()  # what waited is the mark of a new connection and two states
    assert not running.pipeline.stop(timeout_s=20)
    assert "1 of 1 cameras up" in line  # a camera that is switched off is not counted
    assert " queued, broker not connected (refused), outbox 1" in line
    assert ", 0 queued" not in line


def test_a_connected_broker_is_named_so(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    running = running_of(make_settings(), models=models, outputs=[sink_set(encoder, mqtt(connected=True))])
    assert running.broker_reason() == ""
    assert "broker connected, outbox 0" in running.status_line()


def test_without_an_mqtt_sink_the_broker_is_not_connected(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    running = running_of(make_settings(), models=models, outputs=[sink_set(encoder, RecordingSink("webhook"))])
    assert running.broker_reason() == "no MQTT sink"
    assert running.sink("mqtt") is None


def test_the_sinks_of_all_outputs_are_listed(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    outputs = [sink_set(encoder, RecordingSink("jsonl")), sink_set(encoder, mqtt(connected=False), RecordingSink("webhook"))]
    running = running_of(make_settings(), models=models, outputs=outputs)
    assert [status.name for status in running.sinks()] == ["jsonl", "mqtt", "webhook"]
    assert running.sink("mqtt") == SinkStatus("mqtt", False, "refused")


def test_the_outbox_is_that_of_the_output_that_has_one(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    outbox = make_outbox()
    outbox.reader("mqtt", schemas=(FACE,), on_ready=lambda: None)
    output = SinkSet(encoder=encoder, sinks=(), observer=Counters(), outbox=outbox)
    running = running_of(make_settings(), models=models, outputs=[sink_set(encoder), output])
    assert running.outbox is outbox
    output.write(face_event(0))
    output.write(face_event(1))
    assert running.outbox_events() == 2


def test_without_an_outbox_no_event_waits(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    running = running_of(make_settings(), models=models, outputs=[sink_set(encoder)])
    assert running.outbox is None
    assert running.outbox_events() == 0


def test_the_label_of_the_broker_is_its_address(make_settings: MakeSettings, models: Models) -> None:
    settings = make_settings(mqtt={"url": "mqtt://user:secret@broker.lan:1884", "username": None})
    assert running_of(settings, models=models).broker_label() == "mqtt://broker.lan:1884"


def test_the_label_of_the_embedded_broker_is_the_port_of_subscribers(make_settings: MakeSettings, models: Models) -> None:
    settings = make_settings(mqtt={"url": "embedded"})
    running = running_of(settings, models=models)
    with broker_for(settings, durable=False) as broker:
        assert broker is not None
        running.broker = broker
        assert running.broker_label() == f"127.0.0.1:{broker.port} (embedded)"


def test_cameras_that_come_and_go_are_passed_on_to_every_output(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    first, second = CameraSink("first"), CameraSink("second")
    running = running_of(make_settings(), models=models, outputs=[sink_set(encoder, first), sink_set(encoder, second)])
    running.remember_camera("hall")
    running.forget_camera("door")
    assert first.log == second.log == ["remember hall", "forget door"]
