"""The traffic on one connection: packets that are too large, ends without a reason, states that expire, the goodbye."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.timings import MqttTimings
from tests.support.brokers import until
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
    disconnect,
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
    expiring = [expiry in packet for packet in states]
    assert expiring == sorted(expiring, reverse=True)  # the last ones of a run are without
    assert expiring.count(True) >= 3
    assert expiry not in states[-1]
    assert published[-1].endswith(b"stopped")
    assert expiry not in published[-1]


def test_a_take_over_is_named_with_the_client_id(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedBroker(answering(lambda packet: puback(packet) + disconnect(0x8E))) as broker:
        sink = make_sink(broker.url, timings=QUICK)
        sink.open()
        until(lambda: 'another client took over the client id "ferstream-edge-1" (two ferstreams with one node name?' in caplog.text)
        sink.close()


@pytest.mark.parametrize("code", [0x9E, 0xA2, 0xB7])
def test_a_reason_that_ends_the_connection_is_named_also_when_it_is_unknown(
    make_sink: MakeSink, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    words = {0x9E: "does not support shared subscriptions", 0xA2: "does not support subscriptions with wildcards", 0xB7: "reason code 0xb7"}
    with ScriptedBroker(answering(lambda packet: puback(packet) + disconnect(code))) as broker:
        sink = make_sink(broker.url, timings=QUICK)
        sink.open()
        until(lambda: words[code] in caplog.text)
        sink.close()
