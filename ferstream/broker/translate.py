"""Translates packets between MQTT 3.1.1 clients and a broker that speaks MQTT 5: one packet in, one packet out.

rumqttd drops a 3.1.1 subscriber as soon as a message carries MQTT 5 properties, so the embedded
broker serves such clients through this translation. Packets are whole: fixed header included.
Sections are those of the OASIS standards, MQTT 3.1.1 and 5.0.
"""

from __future__ import annotations

import asyncio

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT, AUTH = 8, 9, 10, 11, 14, 15
MAX_PACKET_BYTES = 1 << 20

_NO_PROPERTIES = b"\x00"
_SESSION_NEVER_EXPIRES = b"\x05\x11\xff\xff\xff\xff"
_CLEAN, _WILL = 0x02, 0x04
_QOS = 0x06
_CONNACK_CODES = {0x84: 1, 0x85: 2, 0x86: 4, 0x87: 5}
_SERVER_UNAVAILABLE = 3
_FAILURE = 0x80


class MalformedPacketError(Exception):
    """The bytes are not an MQTT packet that can be translated."""


async def read_packet(reader: asyncio.StreamReader, *, max_bytes: int = MAX_PACKET_BYTES) -> bytes:
    """Read one whole packet.

    Raises:
        MalformedPacketError: Its length is malformed or over ``max_bytes``.
        asyncio.IncompleteReadError: The stream ended.
    """
    head = await reader.readexactly(2)
    while head[-1] & 0x80:
        if len(head) == 5:
            raise MalformedPacketError("length of more than four bytes")
        head += await reader.readexactly(1)
    length, _ = varint(head, 1)
    if length > max_bytes:
        raise MalformedPacketError(f"packet of {length} bytes")
    return head + await reader.readexactly(length)


def protocol_level(connect: bytes) -> int:
    """Return the protocol level of a CONNECT packet: 4 = 3.1.1, 5 = 5.

    Raises:
        MalformedPacketError: It is not a CONNECT packet.
    """
    _, start = varint(connect, 1)
    if connect[0] >> 4 != CONNECT or connect[start : start + 6] != b"\x00\x04MQTT" or len(connect) < start + 10:
        raise MalformedPacketError("not a CONNECT of MQTT 3.1.1 or 5")
    return connect[start + 6]


def to_v5(packet: bytes) -> bytes:
    """Return a client's 3.1.1 packet as MQTT 5.

    Raises:
        MalformedPacketError: It is truncated.
    """
    kind, (_, start) = packet[0] >> 4, varint(packet, 1)
    body = packet[start:]
    if kind == CONNECT:
        body = _connect_to_v5(body)
    elif kind == PUBLISH:
        at = _publish_head(packet[0], body)
        body = body[:at] + _NO_PROPERTIES + body[at:]
    elif kind in (SUBSCRIBE, UNSUBSCRIBE):
        body = body[:2] + _NO_PROPERTIES + body[2:]
    return pack(packet[0], body)


def to_v311(packet: bytes) -> bytes | None:
    """Return the broker's MQTT 5 packet as 3.1.1; None when the connection must end instead.

    Raises:
        MalformedPacketError: It is truncated.
    """
    kind, (_, start) = packet[0] >> 4, varint(packet, 1)
    body = packet[start:]
    if kind in (DISCONNECT, AUTH):
        return None
    if kind == CONNACK:
        body = _connack_to_v311(body)
    elif kind == PUBLISH:
        at = _publish_head(packet[0], body)
        body = body[:at] + body[after_properties(body, at) :]
    elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK):
        body = body[:2]
    elif kind == SUBACK:
        codes = body[after_properties(body, 2) :]
        body = body[:2] + bytes(min(code, _FAILURE) for code in codes)
    return pack(packet[0], body)


def _connect_to_v5(body: bytes) -> bytes:
    if len(body) < 12:
        raise MalformedPacketError("short CONNECT")
    flags = body[7]
    properties = _NO_PROPERTIES if flags & _CLEAN else _SESSION_NEVER_EXPIRES
    client_end = 10 + string_end(body[10:])
    will = _NO_PROPERTIES if flags & _WILL else b""
    return body[:6] + b"\x05" + body[7:10] + properties + body[10:client_end] + will + body[client_end:]


def _connack_to_v311(body: bytes) -> bytes:
    if len(body) < 2:
        raise MalformedPacketError("short CONNACK")
    code = body[1]
    return bytes((body[0], _CONNACK_CODES.get(code, _SERVER_UNAVAILABLE) if code else 0))


def _publish_head(first: int, body: bytes) -> int:
    """Length of topic and packet id."""
    end = string_end(body) + (2 if first & _QOS else 0)
    if end > len(body):
        raise MalformedPacketError("short PUBLISH")
    return end


def string_end(body: bytes) -> int:
    """Return where the string or binary data ends that begins with its length at 0.

    Raises:
        MalformedPacketError: It is truncated.
    """
    end = 2 + int.from_bytes(body[:2], "big")
    if len(body) < end:
        raise MalformedPacketError("short string")
    return end


def after_properties(body: bytes, at: int) -> int:
    """Return where the properties end that begin with their length at ``at``.

    Raises:
        MalformedPacketError: They are truncated.
    """
    length, after = varint(body, at)
    if after + length > len(body):
        raise MalformedPacketError("short properties")
    return after + length


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the variable byte integer at ``at`` (section 1.5.5), and where it ends.

    Raises:
        MalformedPacketError: It is truncated or longer than four bytes.
    """
    value = 0
    for shift in range(4):
        if at + shift >= len(data):
            break
        byte = data[at + shift]
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise MalformedPacketError("bad variable byte integer")


def pack(first: int, body: bytes) -> bytes:
    """Return a packet of its first byte and its body."""
    head, left = bytearray((first,)), len(body)
    while True:
        left, byte = left >> 7, left & 0x7F
        head.append(byte | 0x80 if left else byte)
        if not left:
            return bytes(head) + body
