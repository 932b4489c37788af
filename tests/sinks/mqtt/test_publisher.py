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
    DISCONNECT,
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


def limit_of(size: int) -> bytes:
    """A CONNACK with a Maximum Packet Size."""
    return connack(properties=b"\x27" + size.to_bytes(4, "big"))


def event_packets(broker: ScriptedBroker) -> list[bytes]:
    return [packet for packet in broker.packets if is_event(packet)]


def real_size(make_sink: MakeSink) -> int:
    """Bytes of the packet of the event that the tests send."""
    with ScriptedBroker(answering(puback)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        sink.close()
    return len(event_packets(broker)[0])


def test_an_event_of_exactly_the_brokers_maximum_is_delivered(make_sink: MakeSink) -> None:
    with ScriptedBroker(answering(puback, limit_of(real_size(make_sink)))) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 1
        sink.close()


def test_an_event_larger_than_the_brokers_maximum_is_dropped_counted_and_logged_once_with_both_sizes(
    make_sink: MakeSink, observer: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    size = real_size(make_sink)
    with ScriptedBroker(answering(puback, limit_of(size - 1))) as broker:
        sink = make_sink(broker.url)
        sink.open()
        for _ in range(3):
            sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        sink.close()
    assert event_packets(broker) == []
    assert sink.counts().dropped == {"rejected": 3}
    assert observer.snapshot().counts["outbox_dropped", "rejected"] == 3
    assert caplog.text.count(f"a message to ferstream/edge-1/door/face of {size} bytes is not sent") == 1
    assert f"takes packets of up to {size - 1} bytes" in caplog.text


def test_a_state_larger_than_the_brokers_maximum_is_not_sent_and_logged(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedBroker(answering(puback, limit_of(300))) as broker:
        sink = make_sink(broker.url)
        sink.write(CameraState("door", CameraStatus.OFFLINE, "x" * 300, 0))
        sink.open()
        until(lambda: "a message to ferstream/edge-1/door/state" in caplog.text)
        sink.close()
        assert not any(b"/door/state" in packet for packet in broker.packets)
        assert sink.publisher.connects == 1


def test_a_reason_code_that_is_not_listed_for_puback_drops_the_event_and_keeps_the_connection(make_sink: MakeSink) -> None:
    with ScriptedBroker(answering(lambda packet: puback(packet, 0x95 if is_event(packet) else 0))) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        assert sink.counts().dropped == {"rejected": 1}
        assert broker.connections == 1
        sink.close()


def test_the_receive_maximum_holds_at_the_goodbye_too(make_sink: MakeSink) -> None:
    unanswered: set[bytes] = set()
    most = 0

    def publish(packet: bytes) -> bytes:
        nonlocal most
        unanswered.add(packet_id(packet))
        most = max(most, len(unanswered))
        if is_event(packet) and len(unanswered) == 1 and not sink_stops.is_set():
            return b""  # answered at the next packet, which must not come
        unanswered.discard(packet_id(packet))
        return puback(packet)

    sink_stops = threading.Event()
    with ScriptedBroker(answering(publish, connack(properties=b"\x21\x00\x01"))) as broker:
        sink = make_sink(broker.url, timings=MqttTimings(step_s=0.02, goodbye_s=0.2))
        sink.open()
        sink.write(face_event())
        until(lambda: bool(event_packets(broker)))
        sink_stops.set()
        sink.close()
    assert most == 1
    assert not any(b"stopped" in packet for packet in broker.packets)
    assert broker.packets[-1][0] >> 4 != DISCONNECT, "without a DISCONNECT the broker publishes the Last Will"


def test_a_topic_that_the_broker_closes_at_is_named(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedBroker(answering(lambda packet: None if is_event(packet) else puback(packet))) as broker:
        sink = make_sink(broker.url, timings=QUICK)
        sink.open()
        sink.write(CameraState("door", CameraStatus.ONLINE, "", 0))
        sink.write(face_event())
        until(lambda: "closed the connection 2 times after a message to ferstream/edge-1/door/face, without a reason" in caplog.text)
        assert "check the rights of this user on that topic" in caplog.text
        sink.close()


def test_a_topic_that_the_broker_acknowledges_and_closes_at_is_named(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    def publish(packet: bytes) -> bytes:
        return puback(packet) + (NOT_MQTT if b"/door/state" in packet else b"")

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url, timings=QUICK)
        sink.write(CameraState("door", CameraStatus.ONLINE, "", 0))
        sink.open()
        until(lambda: "times after a message to ferstream/edge-1/door/state, without a reason" in caplog.text)
        sink.close()


def test_a_subscription_that_the_broker_closes_at_is_named(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind == SUBSCRIBE:
            return None
        return connack() if kind == CONNECT else puback(packet) if kind == PUBLISH and qos_of(packet) else b""

    with ScriptedBroker(reply) as broker:
        sink = make_sink(broker.url, timings=QUICK, on_command=lambda camera, payload: None)
        sink.open()
        until(lambda: "2 times after the subscription to ferstream/edge-1/+/set, without a reason" in caplog.text)
        sink.close()


def test_online_and_states_are_published_again_with_an_expiry_and_the_last_ones_without(make_sink: MakeSink) -> None:
    with ScriptedBroker(answering(puback)) as broker:
        sink = make_sink(broker.url, timings=MqttTimings(step_s=0.01, refresh_s=0.02, state_expiry_s=0x1234))
        sink.write(CameraState("door", CameraStatus.ONLINE, "", 0))
        sink.open()
        for text in (b"online", b"/door/state"):
            until(lambda text=text: sum(text in packet for packet in broker.packets) >= 3)  # type: ignore[misc]
        sink.close()
    expiry = b"\x02\x00\x00\x12\x34"
    published = [packet for packet in broker.packets if packet[0] >> 4 == PUBLISH]
    states = [packet for packet in published if b"/door/state" in packet]
    assert all(expiry in packet for packet in published if packet.endswith(b"online"))
    assert all(expiry in packet for packet in states[:-1])
    assert expiry not in states[-1]
    assert published[-1].endswith(b"stopped")
    assert expiry not in published[-1]


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
