"""MQTT reason codes in words, with what to do about them."""

from __future__ import annotations

CONNECT_REFUSED: dict[int, str] = {
    0x80: "it gives no reason",
    0x81: "it found our connection request malformed",
    0x82: "it sees a breach of the protocol",
    0x83: "a rule of its own forbids it",
    0x84: "it does not speak this MQTT version",
    0x85: "it does not accept the client id",
    0x86: "wrong user name or password",
    0x87: "not authorised",
    0x88: "its service is not available",
    0x89: "it is busy",
    0x8A: "this client is banned",
    0x8C: "it does not know this way of logging in",
    0x90: "it does not accept the topic of the Last Will",
    0x95: "the Last Will is too large for it",
    0x97: "a quota is used up",
    0x99: "it does not accept the format of the Last Will",
    0x9A: "it does not keep retained messages",
    0x9B: "it does not support QoS 1",
    0x9C: "it asks to use another server",
    0x9D: "its service moved to another server",
    0x9F: "too many connections in a short time",
}
"""Reason codes of CONNACK; paho translates those of MQTT 3.1.1 into these."""

FROM_MQTT_3 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""Return codes of MQTT 3.1.1 and the reason codes of the same meaning."""

RETAIN_ADVICE = "allow retained messages at the broker: availability and camera states are retained"
QOS_ADVICE = "allow QoS 1 at the broker: events are acknowledged with it"

CONNECT_ADVICE: dict[int, str] = {
    0x80: "the broker's log may say why",
    0x81: "try another mqtt.protocol; the broker's log may say why",
    0x82: "try another mqtt.protocol; the broker's log may say why",
    0x83: "the broker's log may say why",
    0x84: "set mqtt.protocol to the version that the broker speaks",
    0x85: "set mqtt.client_id to one that it accepts",
    0x86: "check mqtt.username and mqtt.password_file (or FERSTREAM_MQTT__PASSWORD)",
    0x87: "check mqtt.username and mqtt.password_file, mqtt.client_id, and the rights of that user at the broker",
    0x88: "look at the broker and what it depends on; ferstream connects when it is available",
    0x89: "nothing, if it passes; else look at the load of the broker",
    0x8A: "the broker's administrator can lift the ban",
    0x8C: "give a user name and password, or a client certificate, as the broker expects",
    0x90: "set mqtt.prefix to what the broker allows",
    0x95: "allow packets of at least 2 kB at the broker",
    0x97: "raise the quota of this client at the broker",
    0x99: "the broker's log may say why",
    0x9A: RETAIN_ADVICE,
    0x9B: QOS_ADVICE,
    0x9C: "set mqtt.url to that server",
    0x9D: "set mqtt.url to that server",
    0x9F: "do several clients reconnect at once? ferstream waits longer each time",
}
"""What to do about a refused connection."""

WRONG_LOGIN = frozenset({0x86, 0x87})
NOT_AUTHORISED = frozenset({0x86, 0x87, 0x8A, 0x8C})
"""Refusals of a connection that do not pass with time: the credentials or rights are wrong."""

ABOUT_THE_WILL = frozenset({0x80, 0x83, 0x87, 0x90, 0x95, 0x99, 0x9A, 0x9B})
"""Refusals of a connection that the Last Will may have caused."""

UNSUPPORTED_VERSION = 0x84
RETAIN_NOT_SUPPORTED, QOS_NOT_SUPPORTED = 0x9A, 0x9B
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
    0x8E: "another client took over the client id",
    0x8F: "the broker does not accept a topic filter",
    0x90: "the broker does not accept a topic",
    0x93: "more messages at once than the broker takes",
    0x95: "a packet was too large for the broker",
    0x96: "too many messages a second for the broker",
    0x97: "a quota of the broker is used up",
    0x98: "an administrator ended the connection",
    0x99: "the broker does not accept the payload format",
    0x9A: "the broker does not keep retained messages",
    0x9B: "the broker does not support QoS 1",
    0x9C: "the broker asks to use another server",
    0x9D: "the broker moved to another server",
    0x9E: "the broker does not support shared subscriptions",
    0xA0: "the broker allows a connection for a limited time only",
    0xA1: "the broker does not support subscription identifiers",
    0xA2: "the broker does not support subscriptions with wildcards",
}
"""Reason codes of DISCONNECT and of a lost connection."""

DISCONNECT_ADVICE: dict[int, str] = {
    0x87: "check the rights of this user at the broker",
    0x95: "raise its limit to at least 2 kB",
    0x9A: RETAIN_ADVICE,
    0x9B: QOS_ADVICE,
    0x9C: "set mqtt.url to that server",
    0x9D: "set mqtt.url to that server",
    0xA2: "set mqtt.commands = false, or allow the filter <prefix>/<node>/+/set",
}
"""What to do about a connection that the broker ended."""

PUBLISH_FAILED: dict[int, str] = {
    0x80: "it gives no reason",
    0x83: "a rule of its own forbids it",
    0x87: "not authorised to publish there",
    0x90: "it does not accept the topic",
    0x91: "packet number in use",
    0x95: "the message is too large for it",
    0x97: "a quota is used up",
    0x99: "it does not accept the payload format",
}
"""Reason codes of PUBACK."""

SUBSCRIBE_FAILED: dict[int, str] = {
    0x80: "it gives no reason",
    0x83: "a rule of its own forbids it",
    0x87: "not authorised to read there",
    0x8F: "it does not accept the topic filter",
    0x97: "a quota is used up",
    0x9E: "it does not support shared subscriptions",
    0xA1: "it does not support subscription identifiers",
    0xA2: "it does not support subscriptions with wildcards",
}
"""Reason codes of SUBACK."""

TEMPORARY = frozenset({0x91, 0x97})
"""Failures of PUBACK that pass with time and are not caused by the message: it is sent again without limit."""

NEVER_ACCEPTED = frozenset({0x87, 0x90, 0x95, 0x99})
"""Failures of PUBACK that the same message would meet again: it is dropped at once. Any other code: a few attempts."""


def words(table: dict[int, str], code: int) -> str:
    """Return the reason as a phrase; the number if the code is unknown."""
    return table.get(code, f"reason code 0x{code:02x}")
