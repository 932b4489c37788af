"""An MQTT 5 broker in a thread that accepts everything, keeps what was published, and sends commands."""

from __future__ import annotations

from tests.support.scripted_broker import CONNECT, PINGREQ, PUBLISH, SUBSCRIBE, ScriptedBroker, connack, puback, qos_of
from tests.support.threads import wait_until

_PINGRESP = b"\xd0\x00"


class AcceptingBroker(ScriptedBroker):
    """Accepts connections, messages and subscriptions of one client after the other."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    @property
    def client_ids(self) -> list[str]:
        """Client id of each connection."""
        return [_client_id(packet) for packet in self._of_kind(CONNECT)]

    @property
    def published(self) -> list[tuple[str, bytes]]:
        """Topic and payload of each message, in order; messages that were sent twice are there twice."""
        return [_message(packet) for packet in self._of_kind(PUBLISH)]

    @property
    def subscribed(self) -> bool:
        """Whether a client asked for a subscription."""
        return bool(self._of_kind(SUBSCRIBE))

    def payloads(self, end_of_topic: str) -> list[bytes]:
        """Payloads of the messages whose topic ends so."""
        return [payload for topic, payload in self.published if topic.endswith(end_of_topic)]

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message to the client once it has subscribed."""
        wait_until(lambda: self.subscribed)
        body = len(topic).to_bytes(2, "big") + topic.encode() + b"\0" + payload
        assert len(body) < 128
        self.send(bytes((0x30, len(body))) + body)

    def _of_kind(self, kind: int) -> list[bytes]:
        return [packet for packet in self.packets if packet[0] >> 4 == kind]

    def _answer(self, kind: int, packet: bytes) -> bytes | None:
        if kind == CONNECT:
            return connack()
        if kind == PUBLISH:
            return puback(packet) if qos_of(packet) else b""
        if kind == SUBSCRIBE:
            start = _body_start(packet)
            return b"\x90\x04" + packet[start : start + 2] + b"\0\x01"
        return _PINGRESP if kind == PINGREQ else b""


def _body_start(packet: bytes) -> int:
    start = 2
    while packet[start - 1] & 0x80:
        start += 1
    return start


def _length(packet: bytes, start: int) -> tuple[int, int]:
    """A variable byte integer at ``start``, and the place after it."""
    value = shift = 0
    while True:
        byte = packet[start]
        value, shift, start = value | (byte & 0x7F) << shift, shift + 7, start + 1
        if not byte & 0x80:
            return value, start


def _text(packet: bytes, start: int) -> str:
    length = int.from_bytes(packet[start : start + 2], "big")
    return packet[start + 2 : start + 2 + length].decode()


def _client_id(packet: bytes) -> str:
    properties, start = _length(packet, _body_start(packet) + 10)  # after MQTT, version, flags, keep-alive
    return _text(packet, start + properties)


def _message(packet: bytes) -> tuple[str, bytes]:
    start = _body_start(packet)
    topic = _text(packet, start)
    start += 2 + len(topic.encode()) + (2 if qos_of(packet) else 0)
    properties, start = _length(packet, start)
    return topic, packet[start + properties :]
