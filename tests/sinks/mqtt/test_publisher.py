"""What the MQTT thread does with a broker's answers, also with those that real brokers give seldom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.events.encode import Encoder
from ferstream.runtime.counters import Counters
from ferstream.runtime.waker import Wake
from ferstream.sinks.mqtt import publisher, reason_codes, retry_queue
from ferstream.sinks.mqtt.connection import BrokerAddress, MqttConnection, Outgoing
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics
from tests.support.brokers import Gate, until
from tests.support.builders import face_event
from tests.support.scripted_broker import (
    CONNECT,
    PINGREQ,
    PUBLISH,
    SUBSCRIBE,
    ScriptedBroker,
    connack,
    disconnect,
    packet_id,
    puback,
    qos_of,
)

pytestmark = pytest.mark.usefixtures("no_new_threads")

MakeSink = Callable[..., MqttSink]


@pytest.fixture
def backoff() -> Gate:
    return Gate()


@pytest.fixture
def make_sink(topics: Topics, encoder: Encoder, observer: Counters, backoff: Gate) -> Iterator[MakeSink]:
    sinks: list[MqttSink] = []

    def make(url: str, **address: Any) -> MqttSink:
        sink = MqttSink(
            address=BrokerAddress(url=url, client_id="c", **address),
            topics=topics,
            encoder=encoder,
            observer=observer,
            backoff=backoff,
        )
        sinks.append(sink)
        return sink

    yield make
    for sink in sinks:
        sink.close()


def answering(publish: Callable[[bytes], bytes | None], greeting: bytes = connack()) -> Callable[[int, bytes], bytes | None]:
    """Greets, answers QoS 1 with ``publish`` and says nothing else."""

    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind == CONNECT:
            return greeting
        if kind == PUBLISH and qos_of(packet):
            return publish(packet)
        return b"\xd0\x00" if kind == PINGREQ else b""

    return reply


def is_event(packet: bytes) -> bool:
    return b"/door/face" in packet


@pytest.mark.parametrize("code", sorted(reason_codes.CONNECT_REFUSED))
def test_every_refusal_is_told_in_words(code: int) -> None:
    with ScriptedBroker(lambda *_: connack(code)) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c"))
        with pytest.raises(BrokerError) as caught:
            connection.connect()
        connection.close()
    assert str(caught.value) == f"{broker.url} refused the connection: {reason_codes.CONNECT_REFUSED[code]}"
    assert isinstance(caught.value, BrokerAuthError) == (code in reason_codes.NOT_AUTHORISED)


@pytest.mark.parametrize(("code", "words"), [(4, "wrong user name or password"), (5, "not authorised"), (2, "client id")])
def test_refusals_of_mqtt_3(code: int, words: str) -> None:
    with ScriptedBroker(lambda *_: bytes((0x20, 2, 0, code))) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c", protocol=4))
        with pytest.raises(BrokerError, match=words):
            connection.connect()
        connection.close()


def test_a_broker_without_qos_1_is_refused_by_us() -> None:
    with ScriptedBroker(lambda *_: connack(properties=b"\x24\x00")) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c"))
        with pytest.raises(BrokerError, match="does not support QoS 1"):
            connection.connect()
        connection.close()


@pytest.mark.parametrize("code", sorted(set(reason_codes.DISCONNECTED) - {0x00, 0x04}))
def test_every_disconnect_is_told_in_words(code: int) -> None:
    with ScriptedBroker(lambda *_: connack() + disconnect(code)) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c"))
        with pytest.raises(BrokerError, match=reason_codes.DISCONNECTED[code].split("(")[0].split("?")[0]):
            connection.connect()
            for _ in range(100):
                connection.step(0.1)
        connection.close()


def test_the_brokers_own_window_is_respected(make_sink: MakeSink) -> None:
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
            sink.put(face_event(index))
        until(lambda: len(unanswered) == 5)
        assert not sink.outbox.wait_empty(0.1)
        assert len(unanswered) == 5
        sink.close()


def test_states_count_in_the_brokers_window_too(make_sink: MakeSink) -> None:
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
            sink.put(CameraState(f"cam{number}", CameraStatus.ONLINE, "", 0))
        for index in range(18):
            sink.put(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)  # 1 + 21 + 18 messages: answered in fours
        assert most == 4
        assert len([packet for packet in broker.packets if b"/state" in packet]) == 21
        sink.close()


def test_what_is_too_large_for_the_broker_is_dropped_and_counted(make_sink: MakeSink, observer: Counters) -> None:
    with ScriptedBroker(answering(puback, connack(properties=b"\x27\x00\x00\x02\x80"))) as broker:  # 640 bytes
        sink = make_sink(broker.url)
        sink.open()
        sink.put(face_event())
        assert sink.outbox.wait_empty(20)
        assert sink.counts().dropped == {"rejected": 1}
        assert observer.snapshot().counts["outbox_dropped", "rejected"] == 1
        sink.close()


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_queue, "PAUSE_FLOOR_S", 0.01)
    monkeypatch.setattr(retry_queue, "PAUSE_CAP_S", 0.02)
    monkeypatch.setattr(publisher, "STEP_S", 0.02)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("code", [0x97, 0x91])
def test_what_passes_is_tried_again_however_often(make_sink: MakeSink, code: int) -> None:
    answers = [code] * 9

    def publish(packet: bytes) -> bytes:
        return puback(packet, answers.pop() if is_event(packet) and answers else 0)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.put(face_event())
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 1
        assert broker.connections == 1
        sink.close()


@pytest.mark.usefixtures("short_pauses")
def test_a_refusal_costs_no_acknowledgement_and_makes_no_double(make_sink: MakeSink) -> None:
    events: list[bytes] = []

    def publish(packet: bytes) -> bytes:
        if not is_event(packet):
            return puback(packet)
        events.append(packet)
        if len(events) < 3:
            return b""
        return puback(events[0]) + puback(events[1]) + puback(events[2], 0x97) if len(events) == 3 else puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        for index in range(3):
            sink.put(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 3
        assert len(events) == 4
        assert broker.connections == 1
        sink.close()


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(("code", "attempts", "reason"), [(0x83, 3, "refused"), (0x80, 3, "refused"), (0x87, 1, "rejected")])
def test_one_that_is_refused_for_ever_is_given_up_and_holds_nobody_up(
    make_sink: MakeSink, observer: Counters, caplog: pytest.LogCaptureFixture, code: int, attempts: int, reason: str
) -> None:
    def publish(packet: bytes) -> bytes:
        return puback(packet, code if b'"seq":0,' in packet and is_event(packet) else 0)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        for index in range(10):
            sink.put(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 9
        assert sink.counts().dropped == {reason: 1}
        assert sink.counts().holds
        assert observer.snapshot().counts["outbox_dropped", reason] == 1
        assert broker.connections == 1
        assert len([packet for packet in broker.packets if is_event(packet)]) == 9 + attempts
        sink.close()
    assert caplog.text.count(f"{reason_codes.PUBLISH_FAILED[code]}; dropped, and not told again") == 1


def test_a_refused_event_goes_back_to_the_outbox_when_the_connection_ends(make_sink: MakeSink) -> None:
    answers = [0x97]

    def publish(packet: bytes) -> bytes:
        return puback(packet, answers.pop() if is_event(packet) and answers else 0)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.put(face_event())
        until(lambda: not answers)
        sink.close()
        assert sink.counts().events == 1
        assert sink.outbox.take(1)[0].seq == 0
        assert broker.connections == 1


def test_no_beat_is_owed_while_it_waits_to_try_again(make_sink: MakeSink, observer: Counters, backoff: Gate) -> None:
    hang_up = threading.Event()

    def publish(packet: bytes) -> bytes | None:
        return None if hang_up.is_set() else puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        until(lambda: "mqtt" in observer.snapshot().beats)
        backoff.shut()
        hang_up.set()
        sink.put(face_event())
        until(lambda: observer.snapshot().counts.get(("mqtt_disconnects", "")) == 1)
        until(lambda: "mqtt" not in observer.snapshot().beats)
        assert broker.connections == 1
        sink.close()


def test_a_refused_state_is_told_and_sent_again_on_the_next_connection(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedBroker(answering(lambda packet: puback(packet, 0x87 if b"/state" in packet else 0))) as broker:
        sink = make_sink(broker.url)
        sink.put(CameraState("door", CameraStatus.ONLINE, "", 0))
        sink.open()
        until(lambda: "/door/state: not authorised to publish there; told again on the next connection" in caplog.text)
        assert broker.connections == 1
        sink.close()


def test_a_removal_is_told_again_until_it_was_acknowledged(make_sink: MakeSink) -> None:
    removals: list[bytes] = []

    def publish(packet: bytes) -> bytes | None:
        if b"/door/state" not in packet or b"{" in packet:
            return puback(packet)
        removals.append(packet)
        return None if len(removals) == 1 else puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.put(CameraState("door", CameraStatus.ONLINE, "", 0))
        until(lambda: any(b"/door/state" in packet for packet in broker.packets))
        sink.forget_camera("door")
        until(lambda: len(removals) == 2)
        sink.put(face_event())
        assert sink.outbox.wait_empty(20)
        sink.close()
        assert len(removals) == 2


def test_no_matching_subscribers_is_no_failure(make_sink: MakeSink) -> None:
    with ScriptedBroker(answering(lambda packet: puback(packet, 0x10))) as broker:
        sink = make_sink(broker.url)
        sink.open()
        sink.put(face_event())
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
            sink.put(face_event(index))
        sink.open()
        assert sink.outbox.wait_empty(20)
        sink.close()
    numbers = [int(packet.split(b'"seq":')[1].split(b",")[0]) for packet in seen]
    assert numbers[:4] == [0, 1, 2, 3]
    assert numbers[-10:] == list(range(10))
    assert observer.snapshot().counts["mqtt_publish", "resent"] >= 4
    assert sink.counts().acknowledged == 10


def test_an_answer_to_nothing_is_ignored(make_sink: MakeSink) -> None:
    def publish(packet: bytes) -> bytes:
        strange = b"\x40\x02" + bytes(byte ^ 0x55 for byte in packet_id(packet))
        return strange + puback(packet) + puback(packet)

    with ScriptedBroker(answering(publish)) as broker:
        sink = make_sink(broker.url)
        sink.open()
        for index in range(20):
            sink.put(face_event(index))
        assert sink.outbox.wait_empty(20)
        assert sink.counts().acknowledged == 20
        sink.close()


@pytest.mark.parametrize("rubbish", [b"\xff" * 20, b"\x20\x00", b"\x40\x01\x00", b"\x30\x02\x00\x09", b"\xd0\xff\xff\xff\xff"])
def test_rubbish_from_the_broker_ends_the_connection_not_the_thread(make_sink: MakeSink, rubbish: bytes) -> None:
    spoken = [rubbish]

    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind == CONNECT:
            return connack()
        if kind == PUBLISH and qos_of(packet):
            return spoken.pop() if spoken and is_event(packet) else puback(packet)
        return b""

    with ScriptedBroker(reply) as broker:
        sink = make_sink(broker.url, keepalive_s=1)
        sink.open()
        sink.put(face_event())
        assert sink.outbox.wait_empty(30)
        assert sink.link.thread.is_alive()
        sink.close()


def test_a_stop_while_it_waits_to_try_again(make_sink: MakeSink) -> None:
    sink = make_sink("mqtt://127.0.0.1:9")
    sink.open()
    until(lambda: "refused" in sink.reason)
    sink.close()
    assert not sink.link.thread.is_alive()


def test_a_stop_while_the_broker_says_nothing(make_sink: MakeSink) -> None:
    with ScriptedBroker(lambda *_: b"") as broker:
        sink = make_sink(broker.url)
        sink.open()
        until(lambda: broker.connections == 1)
        assert sink.link.stop(2)
        assert not sink.link.thread.is_alive()


def test_an_event_that_cannot_be_encoded_is_counted_once_told(make_sink: MakeSink, caplog: pytest.LogCaptureFixture) -> None:
    import dataclasses

    from ferstream.domain.face import Box

    sink = make_sink("mqtt://127.0.0.1:9")
    event = face_event()
    broken = dataclasses.replace(event, face=dataclasses.replace(event.face, box=Box(float("nan"), 0, 1, 1)))
    sink.put(broken)
    sink.put(broken)
    assert sink.counts().dropped == {"invalid": 2}
    assert sink.counts().holds
    assert caplog.text.count("could not be encoded") == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4))
def test_whatever_a_broker_sends_only_broker_errors_come_out(answers: list[bytes]) -> None:
    script = [connack(), *answers]
    with ScriptedBroker(lambda *_: script.pop(0) if script else None) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c"))
        try:
            connection.connect(2)
            for _ in range(4):
                connection.subscribe("a")
                connection.publish(Outgoing(topic="a", payload=b"x"))
                connection.step(0.005)
        except BrokerError:
            pass
        connection.close()


def test_a_command_handler_that_fails_harms_nobody(
    topics: Topics, encoder: Encoder, observer: Counters, caplog: pytest.LogCaptureFixture
) -> None:
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
        sink = MqttSink(
            address=BrokerAddress(url=broker.url, client_id="c"),
            topics=topics,
            encoder=encoder,
            observer=observer,
            backoff=Gate(),
            on_command=fail,
        )
        sink.open()
        until(lambda: "a command for camera door failed" in caplog.text)
        until(lambda: "does not let this user read ferstream/edge-1/+/set" in caplog.text)
        sink.put(face_event())
        assert sink.outbox.wait_empty(20)
        sink.close()


def test_a_broker_that_acknowledges_nothing_is_left(make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "ACK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(publisher, "STEP_S", 0.02)
    with ScriptedBroker(answering(lambda _: b"")) as broker:
        sink = make_sink(broker.url)
        sink.open()
        until(lambda: broker.connections >= 2)
        until(lambda: "nothing acknowledged" in sink.reason or sink.connected)
        sink.close()


def test_a_bug_in_the_thread_is_reported_not_swallowed(topics: Topics, encoder: Encoder, observer: Counters) -> None:
    class Broken(Gate):
        def wait(self, stop: threading.Event) -> bool:
            raise RuntimeError("a bug")

    fatal: list[tuple[str, BaseException]] = []
    sink = MqttSink(
        address=BrokerAddress(url="mqtt://127.0.0.1:9", client_id="c"),
        topics=topics,
        encoder=encoder,
        observer=observer,
        backoff=Broken(),
        on_fatal=lambda where, error: fatal.append((where, error)),
    )
    sink.open()
    until(lambda: bool(fatal))
    assert fatal[0][0] == "mqtt"
    assert "internal error" in sink.reason
    sink.close()


def test_waking_from_many_threads_loses_no_wake_and_leaves_no_byte() -> None:
    import select

    wake, stop, woken = Wake(), threading.Event(), 0

    def setter() -> None:
        while not stop.is_set():
            wake.set()

    threads = [threading.Thread(target=setter) for _ in range(2)]
    for thread in threads:
        thread.start()
    while woken < 200:
        assert select.select([wake.fileno()], [], [], 10)[0]
        wake.clear()
        woken += 1
    stop.set()
    for thread in threads:
        thread.join()
    wake.clear()
    assert not select.select([wake.fileno()], [], [], 0)[0]
    wake.set()
    assert select.select([wake.fileno()], [], [], 0)[0]
    wake.close()
    wake.set()
    wake.close()
