"""A trial run for ``ferstream check``: connect, publish and read back with the real settings."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ferstream.errors import BrokerError
from ferstream.sinks.mqtt import reason_codes
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.packets import FAILURE, Outgoing
from ferstream.sinks.mqtt.topics import Topics

PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of a trial that worked; a failure raises.

    Attributes:
        round_trip_s: Seconds from publishing to reading back; None when the message did not come back.
        note: One line for people.
    """

    round_trip_s: float | None
    note: str


def probe(address: BrokerAddress, topics: Topics, *, timeout_s: float = PROBE_TIMEOUT_S) -> ProbeResult:
    """Publish a message to ``<prefix>/<node>/check`` and read it back.

    It uses a client id of its own, so that the broker does not disconnect a running daemon.

    Raises:
        BrokerAuthError: The broker refuses the credentials.
        BrokerError: It cannot be reached, or refuses the message.
        ConfigError: A certificate, key or CA file cannot be used.
    """
    connection = MqttConnection(replace(address, client_id=f"{address.client_id}-check"))
    try:
        connection.connect(timeout_s)
        return _round_trip(connection, address.label, topics.probe, timeout_s)
    finally:
        connection.disconnect()


def _round_trip(connection: MqttConnection, where: str, topic: str, timeout_s: float) -> ProbeResult:
    deadline = time.monotonic() + timeout_s
    subscription = connection.subscribe(topic)
    while (granted := connection.subscribed(subscription)) is None:
        connection.step(_left(deadline, f"{where} did not answer a subscription within {timeout_s:g} s"))
    payload = f"{time.monotonic_ns()}".encode()
    began = time.monotonic()
    mid = connection.publish(Outgoing(topic=topic, payload=payload, expiry_s=10, content_type="text/plain"))
    acknowledged = back = False
    while not acknowledged or (not back and granted < FAILURE):
        if acknowledged and time.monotonic() >= deadline:
            break
        answers, incoming = connection.step(_left(deadline, f"{where} did not acknowledge within {timeout_s:g} s"))
        for answer in answers:
            acknowledged = acknowledged or answer.mid == mid
            if not answer.ok:
                raise BrokerError(f"{where} refused to publish: {reason_codes.words(reason_codes.PUBLISH_FAILED, answer.code)}")
        back = back or any(message.payload == payload for message in incoming)
    if back:
        took_s = time.monotonic() - began
        return ProbeResult(took_s, f"{where}: published and read back in {took_s * 1000:.0f} ms")
    return ProbeResult(
        None,
        f"{where}: acknowledged, but not read back: the broker does not let this user read {topic}, or drops what it may not write",
    )


def _left(deadline: float, complaint: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise BrokerError(complaint)
    return left
