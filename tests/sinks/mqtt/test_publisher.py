"""What the MQTT thread does with a broker's answers, also with those that real brokers rarely give."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.timings import MqttTimings
from tests.support.brokers import Gate, until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.scripted_broker import (
    CONNECT,
    PUBLISH,
    SUBSCRIBE,
    ScriptedBroker,
    answering,
    connack,
    is_event,
    packet_id,
    puback,
    qos_of,
)

pytestmark = pytest.mark.usefixtures("no_new_threads")

MakeSink = Callable[..., MqttOutput]
NOT_MQTT = b"\xff\x00"
"""The client ends the connection, as if it were cut."""
QUICK = MqttTimings(step_s=0.02, retry_floor_s=0.01, retry_cap_s=0.02)


def test_the_receive_maximum_of_the_broker_is_respected(make_sink: MakeSink) -> None:
    unanswered: list[bytes] = []

    def publish(packet: bytes) -> bytes:
        if not is_event(packet):
            return puback(packet)
        unanswered.append(packet)
        return b""

    with ScriptedBroker(answering(publish, connack(properties=b"\x21\x00\x05"))) as broker:
        sink = make_sink(broker.url)
        sink.open()
        for index in range(50):
            sink.write(face_event(index))
        until(lambda: len(unanswered) == 5)
        assert not sink.outbox.wait_empty(0.1)
        assert len(unanswered) == 5
        sink.close()


def test_states_count_in_the_receive_maximum_too(make_sink: MakeSink) -> None:
    waiting: list[bytes] = []
    most = 0

    def publish(packet: bytes) -> bytes:
        nonlocal most
        waiting.append(packet)
        most = max(most, len(waiting))
        if len(waiting) < 4:
            return b""
        answers = b"".join(map(puback, waiting))
        waiting.clear()
        return answers

    with ScriptedBroker(answering(publish, connack(properties=b"\x21\x00\x04"))) as broker:
        sink = make_sink(broker.url)
        for number in range(21):
            sink.write(CameraState(f"cam{number}", CameraStatus.ONLINE, "", 0))
        for index in range(18):
            sink.write(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)  # 1 + 21 + 18 messages: answered in fours
        assert most == 4
        assert len([packet for packet in broker.packets if b"/state" in packet]) == 21
        sink.close()


def test_no_heartbeat_is_expected_between_two_connections(make_sink: MakeSink, observer: Counters, backoff: Gate) -> None:
    hang_up = threading.Event()

    def publish(packet: bytes) -> bytes | None:
        return None if hang_up.is_set() else puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        until(lambda: "mqtt" in observer.snapshot().beats)
        backoff.shut()
        hang_up.set()
        sink.write(face_event())
        until(lambda: observer.snapshot().counts.get(("mqtt_disconnects", "")) == 1)
        until(lambda: "mqtt" not in observer.snapshot().beats)
        assert broker.connections == 1
        sink.close()


def test_a_removal_is_sent_again_until_it_is_acknowledged(make_sink: MakeSink) -> None:
    removals: list[bytes] = []

    def publish(packet: bytes) -> bytes | None:
        if b"/door/state" not in packet or b"{" in packet:
            return puback(packet)
        removals.append(packet)
        return None if len(removals) == 1 else puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.write(CameraState("door", CameraStatus.ONLINE, "", 0))
        until(lambda: any(b"/door/state" in packet for packet in broker.packets))
        sink.forget_camera("door")
        until(lambda: len(removals) == 2)
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        sink.close()
        assert len(removals) == 2


def test_an_answer_of_no_matching_subscribers_is_an_acknowledgement(make_sink: MakeSink) -> None:
    with ScriptedBroker(answering(lambda packet: puback(packet, 0x10))) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 1
        sink.close()


def test_unanswered_events_are_sent_again_in_order_after_a_cut(make_sink: MakeSink, observer: Counters) -> None:
    seen: list[bytes] = []

    def publish(packet: bytes) -> bytes | None:
        if is_event(packet):
            seen.append(packet)
            if len(seen) == 4:
                return None
            if len(seen) < 4:
                return b""
        return puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        for index in range(10):
            sink.write(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)
        sink.close()
    numbers = [int(packet.split(b'"seq":')[1].split(b",")[0]) for packet in seen]
    assert numbers[:4] == [0, 1, 2, 3]
    assert numbers[-10:] == list(range(10))
    assert observer.snapshot().counts["mqtt_publish", "resent"] >= 4
    assert sink.counts().acknowledged == 10


def test_an_answer_to_an_unknown_packet_is_ignored(make_sink: MakeSink) -> None:
    def publish(packet: bytes) -> bytes:
        strange = b"\x40\x02" + bytes(byte ^ 0x55 for byte in packet_id(packet))
        return strange + puback(packet) + puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        for index in range(20):
            sink.write(face_event(index))
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 20
        sink.close()


@pytest.mark.parametrize("rubbish", [b"\xff" * 20, b"\x20\x00", b"\x40\x01\x00", b"\x30\x02\x00\x09", b"\xd0\xff\xff\xff\xff"])
def test_a_malformed_packet_ends_the_connection_not_the_thread(make_sink: MakeSink, rubbish: bytes) -> None:
    spoken = [rubbish]

    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind == CONNECT:
            return connack()
        if kind == PUBLISH and qos_of(packet):
            return spoken.pop() if spoken and is_event(packet) else puback(packet)
        return b""

    with ScriptedBroker(reply) as broker:
        sink = make_sink(broker.url, address={"keepalive_s": 1})
        sink.open()
        sink.write(face_event())
        assert sink.outbox.wait_empty(30)
        assert sink.publisher.thread.is_alive()
        sink.close()


def test_a_stop_during_the_pause_between_connections(make_sink: MakeSink) -> None:
    sink = make_sink("mqtt://127.0.0.1:9")
    sink.open()
    until(lambda: "refused" in sink.reason)
    sink.close()
    assert not sink.publisher.thread.is_alive()


def test_a_stop_while_the_broker_does_not_answer(make_sink: MakeSink) -> None:
    with ScriptedBroker(lambda *_: b"") as broker:
        sink = make_sink(broker.url)
        sink.open()
        until(lambda: broker.connections == 1)
        assert sink.publisher.stop(2)
        assert not sink.publisher.thread.is_alive()


def test_a_command_handler_that_fails_does_not_end_the_connection(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    def fail(camera: str, payload: bytes) -> None:
        raise RuntimeError("broken")

    topic = b"ferstream/edge-1/door/set"
    command = bytes((0x30, 2 + len(topic) + 1 + 2)) + len(topic).to_bytes(2, "big") + topic + b"\x00ON"

    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind == CONNECT:
            return connack()
        if kind == SUBSCRIBE:
            return b"\x90\x04" + packet[2:4] + b"\x00\x87" + command
        return puback(packet) if kind == PUBLISH and qos_of(packet) else b""

    with ScriptedBroker(reply) as broker:
        sink = make_sink(broker.url, on_command=fail)
        sink.open()
        until(lambda: "a command for camera door failed" in caplog.text)
        until(lambda: "refused the subscription to ferstream/edge-1/+/set: not authorised to read there" in caplog.text)
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        sink.close()


def test_a_broker_that_acknowledges_nothing_is_left(make_sink: MakeSink) -> None:
    with ScriptedBroker(answering(lambda _: b"")) as broker:
        sink = make_sink(broker.url, timings=MqttTimings(step_s=0.02, ack_timeout_s=0.05))
        sink.open()
        until(lambda: broker.connections >= 2)
        until(lambda: "nothing acknowledged" in sink.reason or sink.connected)
        sink.close()


def test_an_internal_error_of_the_thread_is_reported(make_sink: MakeSink) -> None:
    class Broken(Gate):
        def wait(self, stop: threading.Event) -> bool:
            raise RuntimeError("a bug")

    fatal: list[tuple[str, BaseException]] = []
    sink = make_sink("mqtt://127.0.0.1:9", backoff=Broken(), on_fatal=lambda where, error: fatal.append((where, error)))
    sink.open()
    until(lambda: bool(fatal))
    assert fatal[0][0] == "mqtt"
    assert "internal error" in sink.reason
    sink.close()
