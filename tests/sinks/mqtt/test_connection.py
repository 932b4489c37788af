"""One MQTT connection: refusals and disconnects in words, and whatever else a broker sends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.sinks.mqtt import reason_codes
from ferstream.sinks.mqtt.connection import BrokerAddress, MqttConnection, Outgoing
from tests.support.scripted_broker import ScriptedBroker, connack, disconnect

pytestmark = pytest.mark.usefixtures("no_new_threads")


@pytest.mark.parametrize("code", sorted(reason_codes.CONNECT_REFUSED))
def test_every_refusal_is_told_in_words(code: int) -> None:
    with ScriptedBroker(lambda *_: connack(code)) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c", username="edge", password="secret"))
        with pytest.raises(BrokerError) as caught:
            connection.connect()
        connection.close()
    assert caught.value.detail == f"{broker.url} refused the connection: {reason_codes.CONNECT_REFUSED[code]}"
    assert caught.value.advice == reason_codes.CONNECT_ADVICE[code]
    assert isinstance(caught.value, BrokerAuthError) == (code in reason_codes.NOT_AUTHORISED)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "does not speak this MQTT version"),
        (2, "client id"),
        (3, "its service is not available"),
        (4, "wrong user name or password"),
        (5, "not authorised"),
        (0x8A, "banned"),
        (0xB7, "reason code 0xb7"),
    ],
)
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
