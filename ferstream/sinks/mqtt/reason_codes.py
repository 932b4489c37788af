"""MQTT reason codes in words, with what to do about them."""

from __future__ import annotations

CONNECT_REFUSED: dict[int, str] = {
    0x80: "it gives no reason",
    0x81: "it found our connection request malformed",
    0x82: "it sees a breach of the protocol",
    0x83: "a rule of its own forbids it",
    0x84: "it does not speak this MQTT version (set mqtt.protocol)",
    0x85: "it does not accept the client id (set mqtt.client_id)",
    0x86: "wrong user name or password",
    0x87: "not authorised",
    0x88: "its service is not available",
    0x89: "it is busy",
    0x8A: "this client is banned",
    0x8C: "it does not know this way of logging in",
    0x90: "it does not accept the topic of the Last Will (set mqtt.prefix)",
    0x95: "the Last Will is too large for it",
    0x97: "a quota is used up",
    0x9A: "it does not keep retained messages",
    0x9B: "it does not support QoS 1",
    0x9C: "it asks to use another server",
    0x9D: "its service moved to another server",
    0x9F: "too many connections in a short time",
}
"""Reason codes of CONNACK; paho translates those of MQTT 3.1.1 into these."""

NOT_AUTHORISED = frozenset({0x86, 0x87, 0x8A, 0x8C})
"""Refusals of a connection that do not pass with time: the credentials or rights are wrong."""

KEEP_ALIVE_TIMEOUT = 0x8D
SESSION_TAKEN_OVER = 0x8E

DISCONNECTED: dict[int, str] = {
    0x00: "the broker ended the connection",
    0x04: "the broker ended the connection",
    0x80: "the connection was lost",
    0x81: "the broker found a packet malformed",
    0x82: "the broker saw a breach of the protocol",
    0x83: "a rule of the broker forbids what was sent",
    0x87: "not authorised any more",
    0x89: "the broker is busy",
    0x8B: "the broker shuts down",
    0x8D: "the broker heard nothing for too long",
    0x8E: "another client took over the client id: two ferstreams with one node name?",
    0x8F: "the broker does not accept a topic filter",
    0x90: "the broker does not accept a topic",
    0x93: "more messages at once than the broker takes",
    0x95: "a packet was too large for the broker",
    0x96: "too many messages a second for the broker",
    0x97: "a quota of the broker is used up",
    0x98: "an administrator ended the connection",
    0x99: "the broker does not accept the payload format",
    0x9C: "the broker asks to use another server",
    0x9D: "the broker moved to another server",
}
"""Reason codes of DISCONNECT and of a lost connection."""

PUBLISH_FAILED: dict[int, str] = {
    0x80: "it gives no reason",
    0x83: "a rule of its own forbids it",
    0x87: "not authorised to publish there",
    0x90: "it does not accept the topic",
    0x91: "packet number in use",
    0x97: "a quota is used up",
    0x99: "it does not accept the payload format",
}
"""Reason codes of PUBACK."""

TEMPORARY = frozenset({0x91, 0x97})
"""Failures of PUBACK that pass with time and are not caused by the message: it is sent again without limit."""

NEVER_ACCEPTED = frozenset({0x87, 0x90, 0x99})
"""Failures of PUBACK that the same message would meet again: it is dropped at once. Any other code: a few attempts."""


def words(table: dict[int, str], code: int) -> str:
    """Return the reason as a phrase; the number if the code is unknown."""
    return table.get(code, f"reason code 0x{code:02x}")
