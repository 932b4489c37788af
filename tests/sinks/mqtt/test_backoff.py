"""Pauses between connections: short after a connection that delivered, growing after one that did not."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable

import pytest

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.backoff import Backoff
from ferstream.sinks.mqtt.timings import MqttTimings
from tests.support.brokers import until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.scripted_broker import ScriptedBroker, answering, disconnect, is_event, puback

pytestmark = pytest.mark.usefixtures("no_new_threads")

NOT_MQTT = b"\xff\x00"
"""The client ends the connection, as if it were cut."""
OUTAGE_S, LIMIT_S = 2.0, 3.0


class RecordingBackoff(Backoff):
    """Waits as short as it can and records the number of failures before each wait."""

    def __init__(self) -> None:
        super().__init__(floor_s=0.001, cap_s=0.002, healthy_after_s=1e9)
        self.recorded: list[int] = []

    def wait(self, stop: threading.Event) -> bool:
        """Record and wait."""
        self.recorded.append(self.failures)
        return super().wait(stop)


class Highest(random.Random):
    """Draws the ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def recorder() -> RecordingBackoff:
    return RecordingBackoff()


def hang_up_after_each_event(packet: bytes) -> bytes | None:
    return puback(packet) + disconnect(0x8B) if is_event(packet) else puback(packet)


def hang_up_at_each_event(packet: bytes) -> bytes | None:
    return None if is_event(packet) else puback(packet)


def taken_over_after_each_event(packet: bytes) -> bytes | None:
    return puback(packet) + disconnect(0x8E) if is_event(packet) else puback(packet)


def test_the_pause_does_not_grow_over_short_connections_that_deliver(
    make_sink: Callable[..., MqttOutput], recorder: RecordingBackoff
) -> None:
    with ScriptedBroker(answering(hang_up_after_each_event)) as broker:
        sink = make_sink(broker.url, backoff=recorder)
        sink.open()
        for number in range(5):
            sink.write(face_event(number))
            assert sink.outbox.wait_empty(30)
            until(lambda n=number: len(recorder.recorded) > n)  # type: ignore[misc]
        sink.close()
    assert recorder.recorded[:5] == [0] * 5


def test_the_pause_does_not_grow_while_there_is_nothing_to_deliver_but_a_state(
    make_sink: Callable[..., MqttOutput], recorder: RecordingBackoff
) -> None:
    def publish(packet: bytes) -> bytes | None:
        return puback(packet) + (disconnect(0x8B) if b"/state" in packet else b"")

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url, backoff=recorder)
        sink.write(CameraState("door", CameraStatus.ONLINE, "", 0))
        sink.open()
        until(lambda: len(recorder.recorded) >= 5)
        sink.close()
    assert recorder.recorded[:5] == [0] * 5


@pytest.mark.parametrize("publish", [hang_up_at_each_event, taken_over_after_each_event])
def test_the_pause_grows_over_connections_that_deliver_no_event_or_are_taken_over(
    make_sink: Callable[..., MqttOutput], recorder: RecordingBackoff, publish: Callable[[bytes], bytes | None]
) -> None:
    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url, backoff=recorder)
        for number in range(200):
            sink.write(face_event(number))
        sink.open()
        until(lambda: len(recorder.recorded) >= 5)
        sink.close()
    assert recorder.recorded[:5] == [0, 1, 2, 3, 4]


def test_no_pause_that_begins_in_an_outage_of_two_seconds_is_longer_than_three() -> None:
    timings = MqttTimings()
    backoff = Backoff(floor_s=timings.reconnect_floor_s, cap_s=timings.reconnect_cap_s, factor=timings.reconnect_factor, rng=Highest())
    earliest_s = 0.0  # the earliest moment at which the next pause can begin: all pauses before it were the shortest
    while earliest_s < OUTAGE_S:
        assert backoff.next_s() < LIMIT_S
        earliest_s += timings.reconnect_floor_s


def test_the_pause_grows_when_connections_that_deliver_are_lost_again_and_again_without_a_reason(
    make_sink: Callable[..., MqttOutput], recorder: RecordingBackoff, caplog: pytest.LogCaptureFixture
) -> None:
    def publish(packet: bytes) -> bytes:
        found = re.search(rb'"index":(\d+)', packet) if is_event(packet) else None
        is_odd = found is not None and int(found[1]) % 2 == 1
        return puback(packet) + (NOT_MQTT if is_odd else b"")

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url, backoff=recorder)
        sink.open()
        for number in range(12):  # the connection ends after every second event
            sink.write(face_event(number))
            assert sink.outbox.wait_empty(30)
            until(lambda n=number: len(recorder.recorded) > n // 2 or n % 2 == 0)  # type: ignore[misc]
        sink.close()
    assert recorder.recorded[:5] == [0, 0, 1, 2, 3]
    assert 'probably another client uses the client id "ferstream-edge-1"' in caplog.text
