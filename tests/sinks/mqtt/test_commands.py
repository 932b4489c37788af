"""Commands that are retained, or too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from tests.support.brokers import until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.scripted_broker import CONNECT, PUBLISH, SUBSCRIBE, ScriptedBroker, connack, puback, qos_of

pytestmark = pytest.mark.usefixtures("no_new_threads")

TOPIC = b"ferstream/edge-1/door/set"
LONG_BYTES = 3_000_000


def command(payload: bytes, *, retain: bool = False, protocol: int = 5) -> bytes:
    """A PUBLISH of QoS 0."""
    body = len(TOPIC).to_bytes(2, "big") + TOPIC + (b"\x00" if protocol == 5 else b"") + payload
    head, left = bytearray((0x31 if retain else 0x30,)), len(body)
    while True:
        left, byte = left >> 7, left & 0x7F
        head.append(byte | 0x80 if left else byte)
        if not left:
            return bytes(head) + body


def sending(commands: bytes, protocol: int) -> Callable[[int, bytes], bytes]:
    """Accept everything and send these commands once the client has subscribed."""

    def reply(kind: int, packet: bytes) -> bytes:
        if kind == CONNECT:
            return connack() if protocol == 5 else b"\x20\x02\x00\x00"
        if kind == SUBSCRIBE:
            return (b"\x90\x04" + packet[2:4] + b"\x00\x01" if protocol == 5 else b"\x90\x03" + packet[2:4] + b"\x01") + commands
        if kind == PUBLISH and qos_of(packet):
            return puback(packet) if protocol == 5 else puback(packet)[:1] + b"\x02" + puback(packet)[2:4]
        return b""

    return reply


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_retained_command_is_ignored_and_named_once(
    make_sink: Callable[..., MqttOutput], caplog: pytest.LogCaptureFixture, protocol: Literal[4, 5]
) -> None:
    obeyed: list[tuple[str, bytes]] = []
    retained = command(b"OFF", retain=True, protocol=protocol)
    with ScriptedBroker(sending(retained + retained + command(b"ON", protocol=protocol), protocol)) as broker:
        sink = make_sink(broker.url, address={"protocol": protocol}, on_command=lambda *given: obeyed.append(given))
        sink.open()
        until(lambda: bool(obeyed))
        sink.close()
    assert obeyed == [("door", b"ON")]
    assert caplog.text.count("a retained command on ferstream/edge-1/door/set is ignored") == 1


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_long_message_is_cut_and_the_connection_stays(make_sink: Callable[..., MqttOutput], protocol: Literal[4, 5]) -> None:
    received: list[bytes] = []
    commands = command(b"x" * LONG_BYTES, protocol=protocol) + command(b"ON", protocol=protocol)
    with ScriptedBroker(sending(commands, protocol)) as broker:
        sink = make_sink(broker.url, address={"protocol": protocol}, on_command=lambda _, payload: received.append(payload))
        sink.open()
        until(lambda: len(received) == 2)
        sink.write(face_event())
        assert sink.outbox.wait_empty(30)
        sink.close()
        assert broker.connections == 1
    assert 1000 < len(received[0]) < 70_000
    assert received[1] == b"ON"


def test_a_command_is_logged_with_its_topic(make_sink: Callable[..., MqttOutput], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    received: list[bytes] = []
    with ScriptedBroker(sending(command(b" off\n") + command(b"secret-word"), 5)) as broker:
        sink = make_sink(broker.url, on_command=lambda _, payload: received.append(payload))
        sink.open()
        until(lambda: len(received) == 2)
        sink.close()
    assert "mqtt: a command came on ferstream/edge-1/door/set: OFF" in caplog.text
    assert "mqtt: a command came on ferstream/edge-1/door/set: 11 bytes, neither ON nor OFF" in caplog.text
    assert "secret-word" not in caplog.text
