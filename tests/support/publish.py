"""Publishing one message to a broker."""

from __future__ import annotations

import secrets
import time

from ferstream.sinks.mqtt.connection import BrokerAddress, MqttConnection, Outgoing


def publish(url: str, topic: str, payload: bytes) -> None:
    """Connect, publish with QoS 1, wait for the acknowledgement."""
    connection = MqttConnection(BrokerAddress(url=url, client_id=f"test-{secrets.token_hex(4)}"))
    connection.connect()
    number = connection.publish(Outgoing(topic=topic, payload=payload))
    deadline, answered = time.monotonic() + 60, False
    while not answered and time.monotonic() < deadline:
        answered = any(answer.mid == number for answer in connection.step(0.5)[0])
    connection.disconnect()
    assert answered
