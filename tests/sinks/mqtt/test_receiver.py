"""Topics of other programs that the MQTT thread reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.brokers import until
from tests.support.mqtt_output import MqttOutput
from tests.support.scripted_broker import CONNECT, PUBLISH, SUBSCRIBE, ScriptedBroker, connack, puback, qos_of

pytestmark = pytest.mark.usefixtures("no_new_threads")

TOPIC = "homeassistant/status"
OTHER = "homeassistant/stat"


def message(topic: str, payload: bytes, *, retain: bool = False) -> bytes:
    """A PUBLISH of QoS 0 in MQTT 5."""
    body = len(topic).to_bytes(2, "big") + topic.encode() + b"\x00" + payload
    return bytes((0x31 if retain else 0x30, len(body))) + body


def replying(code: int, messages: bytes = b"") -> Callable[[int, bytes], bytes]:
    """Accept everything, answer subscriptions with a code, and send these messages then."""

    def reply(kind: int, packet: bytes) -> bytes:
        if kind == CONNECT:
            return connack()
        if kind == SUBSCRIBE:
            return b"\x90\x04" + packet[2:4] + bytes((0, code)) + messages
        return puback(packet) if kind == PUBLISH and qos_of(packet) else b""

    return reply


def test_messages_of_the_topic_arrive_but_for_retained_ones(make_sink: Callable[..., MqttOutput]) -> None:
    received: list[bytes] = []
    sent = message(TOPIC, b"old", retain=True) + message(OTHER, b"other") + message(TOPIC, b"online")
    with ScriptedBroker(replying(1, sent)) as broker:
        sink = make_sink(broker.url)
        sink.mqtt.listen(TOPIC, received.append, if_refused="nothing works")
        sink.open()
        until(lambda: bool(received))
        sink.close()
    assert received == [b"online"]


def test_a_refused_subscription_is_logged_with_what_does_not_work(
    make_sink: Callable[..., MqttOutput], caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedBroker(replying(0x87)) as broker:
        sink = make_sink(broker.url)
        sink.mqtt.listen(TOPIC, lambda _: None, if_refused="a start is not noticed")
        sink.open()
        until(lambda: "refused the subscription" in caplog.text)
        sink.close()
    assert f"mqtt: a start is not noticed: {broker.url} refused the subscription to {TOPIC}: not authorised" in caplog.text
