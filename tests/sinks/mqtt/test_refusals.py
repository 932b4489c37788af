"""What happens to messages that the broker refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt import reason_codes
from ferstream.sinks.mqtt.timings import MqttTimings
from tests.support.brokers import until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.scripted_broker import (
    ScriptedBroker,
    answering,
    is_event,
    puback,
)

pytestmark = pytest.mark.usefixtures("no_new_threads")

MakeSink = Callable[..., MqttOutput]
QUICK = MqttTimings(step_s=0.02, retry_floor_s=0.01, retry_cap_s=0.02)


@pytest.mark.parametrize("code", [0x97, 0x91])
def test_a_message_refused_for_a_temporary_reason_is_sent_again_without_limit(make_sink: MakeSink, code: int) -> None:
    answers = [code] * 9

    def publish(packet: bytes) -> bytes:
        return puback(packet, answers.pop() if is_event(packet) and answers else 0)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url, timings=QUICK)
        sink.open()
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 1
        assert broker.connections == 1
        sink.close()


def test_a_refused_message_costs_no_acknowledgement_and_makes_no_double(make_sink: MakeSink) -> None:
    events: list[bytes] = []

    def publish(packet: bytes) -> bytes:
        if not is_event(packet):
            return puback(packet)
        events.append(packet)
        if len(events) < 3:
            return b""
        return puback(events[0]) + puback(events[1]) + puback(events[2], 0x97) if len(events) == 3 else puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url, timings=QUICK)
        for index in range(3):
            sink.write(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 3
        assert len(events) == 4
        assert broker.connections == 1
        sink.close()


@pytest.mark.parametrize(("code", "attempts", "reason"), [(0x83, 3, "refused"), (0x80, 3, "refused"), (0x87, 1, "rejected")])
def test_a_message_that_is_always_refused_is_dropped_and_blocks_no_other(
    make_sink: MakeSink, observer: Counters, caplog: pytest.LogCaptureFixture, code: int, attempts: int, reason: str
) -> None:
    def publish(packet: bytes) -> bytes:
        return puback(packet, code if b'"seq":0,' in packet and is_event(packet) else 0)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url, timings=QUICK)
        for index in range(10):
            sink.write(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 9
        assert sink.counts().dropped == {reason: 1}
        assert sink.counts().balanced
        assert observer.snapshot().counts["outbox_dropped", reason] == 1
        assert broker.connections == 1
        assert len([packet for packet in broker.packets if is_event(packet)]) == 9 + attempts
        sink.close()
    assert caplog.text.count(f"{reason_codes.PUBLISH_FAILED[code]}; it is dropped") == 1


def test_a_refused_event_goes_back_to_the_outbox_when_the_connection_ends(make_sink: MakeSink) -> None:
    answers = [0x97]

    def publish(packet: bytes) -> bytes:
        return puback(packet, answers.pop() if is_event(packet) and answers else 0)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.write(face_event())
        until(lambda: not answers)
        sink.close()
        assert sink.counts().events == 1
        assert sink.mqtt.reader.take(1)[0].seq == 0
        assert broker.connections == 1


def test_a_refused_state_is_logged_and_sent_again_on_the_next_connection(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedBroker(answering(lambda packet: puback(packet, 0x87 if b"/state" in packet else 0))) as broker:
        sink = make_sink(broker.url)
        sink.write(CameraState("door", CameraStatus.ONLINE, "", 0))
        sink.open()
        until(lambda: "/door/state: not authorised to publish there; it is sent again on the next connection" in caplog.text)
        assert broker.connections == 1
        sink.close()
