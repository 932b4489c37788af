"""What a node publishes: its availability, its Last Will, and its events as MQTT messages."""

from __future__ import annotations

from typing import Final

from ferstream.outbox.entry import Delivery
from ferstream.sinks.mqtt.packets import Outgoing, Will
from ferstream.sinks.mqtt.topics import Topics

ONLINE, OFFLINE, STOPPED = b"online", b"offline", b"stopped"
MESSAGE_EXPIRY_S: Final = 3600
WILL_DELAY_S: Final = 5


def last_will(topics: Topics) -> Will:
    """Return the Last Will: ``offline`` as availability, retained."""
    return Will(topic=topics.availability, payload=OFFLINE, delay_s=WILL_DELAY_S)


def availability(topics: Topics, word: bytes, *, expiry_s: int | None = None) -> Outgoing:
    """Return the availability of the node, retained."""
    return Outgoing(topic=topics.availability, payload=word, retain=True, expiry_s=expiry_s, content_type="text/plain")


def event_message(topics: Topics, delivery: Delivery) -> Outgoing:
    """Return an event of the outbox as a message."""
    return Outgoing(
        topic=topics.of(delivery.camera, delivery.schema),
        payload=delivery.payload,
        expiry_s=MESSAGE_EXPIRY_S,
        user={"schema": delivery.schema, "seq": str(delivery.seq), "boot_id": delivery.boot_id},
    )
