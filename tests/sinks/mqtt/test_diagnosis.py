"""What trial connections find out about a broker that closes the connection without a word."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.diagnosis import Diagnosis
from ferstream.sinks.mqtt.messages import last_will
from ferstream.sinks.mqtt.topics import Topics
from tests.support.scripted_broker import CONNECT, ScriptedBroker, connack

pytestmark = pytest.mark.usefixtures("no_new_threads")

WILL = last_will(Topics(prefix="ferstream", node="edge-1"))
ACCEPTED_3, ACCEPTED_5 = b"\x20\x02\x00\x00", connack()


def cause(url: str, **fields: Any) -> BrokerError | None:
    """Connect, which fails, and look for the cause."""
    connection = MqttConnection(BrokerAddress(url=url, client_id="c", **fields), will=WILL)
    with pytest.raises(BrokerError):
        connection.connect(2.0)
    found = Diagnosis(connection, timeout_s=1.0).cause()
    connection.close()
    return found


def is_connect(packet: bytes) -> bool:
    """Whether it is a CONNECT; the first byte of a TLS handshake has the same kind."""
    return packet[:1] == b"\x10" and b"MQTT" in packet


def version(packet: bytes) -> int:
    return packet[2 + 6]


def flags(packet: bytes) -> int:
    return packet[2 + 7]


def accepts(wanted: Callable[[bytes], bool]) -> Callable[[int, bytes], bytes | None]:
    """A broker that answers a CONNECT that is as wanted, and closes at any other."""

    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind != CONNECT:
            return b""
        if not is_connect(packet) or not wanted(packet):
            return None
        return ACCEPTED_5 if version(packet) == 5 else ACCEPTED_3

    return reply


def has_will(packet: bytes) -> bool:
    return bool(flags(packet) & 0x04)


@pytest.mark.parametrize(("spoken", "tried", "advice"), [(4, 5, '"3.1.1"'), (5, 4, "5")])
def test_a_broker_of_the_other_version_is_named(spoken: int, tried: int, advice: str) -> None:
    with ScriptedBroker(accepts(lambda packet: version(packet) == spoken)) as broker:
        found = cause(broker.url, protocol=tried)
    assert found is not None
    assert found.detail == f"{broker.url} does not speak MQTT {'5' if tried == 5 else '3.1.1'}"
    assert found.advice == f"set mqtt.protocol = {advice}"


def test_a_broker_that_refuses_the_version_with_a_code_is_named_with_the_version_it_speaks() -> None:
    def reply(kind: int, packet: bytes) -> bytes | None:
        return ACCEPTED_5 if version(packet) == 5 else b"\x20\x02\x00\x01"

    with ScriptedBroker(reply) as broker:
        found = cause(broker.url, protocol=4)
    assert found is not None
    assert found.advice == "set mqtt.protocol = 5"


def test_a_broker_that_does_not_keep_retained_messages_is_named() -> None:
    with ScriptedBroker(accepts(lambda packet: not flags(packet) & 0x20)) as broker:
        found = cause(broker.url, protocol=4)
    assert found is not None
    assert "does not keep retained messages" in found.detail


def test_a_broker_without_qos_1_is_named() -> None:
    with ScriptedBroker(accepts(lambda packet: not flags(packet) & 0x18)) as broker:
        found = cause(broker.url, protocol=4)
    assert found is not None
    assert "does not support QoS 1" in found.detail


def test_a_broker_that_refuses_the_last_will_is_named_with_the_topic() -> None:
    with ScriptedBroker(accepts(lambda packet: not has_will(packet))) as broker:
        found = cause(broker.url, username="edge", password="secret-word")
    assert isinstance(found, BrokerAuthError)
    assert found.detail == f"{broker.url} refuses the Last Will: the user edge may not write to ferstream/edge-1/availability"
    assert found.advice == "allow that user to write to ferstream/edge-1/#"


def test_a_refusal_that_the_last_will_causes_is_named_too() -> None:
    def reply(kind: int, packet: bytes) -> bytes | None:
        if kind != CONNECT:
            return b""
        return connack(0x87) if has_will(packet) else ACCEPTED_5

    with ScriptedBroker(reply) as broker:
        found = cause(broker.url)
    assert isinstance(found, BrokerAuthError)
    assert "refuses the Last Will" in found.detail


def test_a_broker_that_refuses_everybody_stays_as_it_is() -> None:
    with ScriptedBroker(lambda *_: connack(0x87)) as broker:
        assert cause(broker.url) is None
    with ScriptedBroker(lambda *_: None) as broker:
        assert cause(broker.url) is None


def test_credentials_are_not_sent_over_a_connection_that_is_less_encrypted() -> None:
    received: list[bytes] = []
    with plain_port(received) as port:
        found = cause(f"mqtts://127.0.0.1:{port}", username="edge-user", password="secret-word", insecure=True)
    assert found is not None
    assert found.detail == f"mqtts://127.0.0.1:{port}: the port speaks MQTT without TLS"
    assert any(b"MQTT" in content for content in received)
    assert not any(b"edge-user" in content or b"secret-word" in content for content in received)


def test_a_cancelled_search_ends() -> None:
    with ScriptedBroker(lambda *_: None) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c"), will=WILL)
        with pytest.raises(BrokerError):
            connection.connect(2.0)
        before = broker.connections
        assert Diagnosis(connection).cause(is_cancelled=lambda: True) is None
        assert broker.connections == before
        connection.close()


class plain_port:
    """A port that answers MQTT without TLS and closes at anything else; keeps what it received."""

    def __init__(self, received: list[bytes]) -> None:
        self._received = received
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._server.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)

    def _run(self) -> None:
        for connection in self._connections():
            with connection:
                content = connection.recv(4096)
                self._received.append(content)
                if content[:1] == b"\x10":
                    connection.sendall(ACCEPTED_5)
                    connection.recv(16)

    def _connections(self) -> Iterator[socket.socket]:
        while True:
            try:
                yield self._server.accept()[0]
            except OSError:
                return
