"""The retained messages of the broker: the latest state and summary of each camera.

Any thread writes, the MQTT thread reads. A removal is sent on every connection until one acknowledges it. Only the
newest value of each topic counts, so none of this goes through the outbox: after an outage subscribers get
the present state, not its history.
"""

from __future__ import annotations

import threading

from ferstream.domain.message import Message
from ferstream.events.schemas import STATE, SUMMARY
from ferstream.sinks.mqtt.packets import Outgoing
from ferstream.sinks.mqtt.topics import Topics

RETAINED = (STATE, SUMMARY)
"""Schemas of which the broker keeps the latest value."""


class RetainedMessages:
    """The latest retained message of each (camera, schema), and which of them the broker lacks."""

    def __init__(self, topics: Topics) -> None:
        """Make it without messages."""
        self._topics = topics
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str], Outgoing] = {}
        self._changed: dict[tuple[str, str], Outgoing] = {}
        self._removals: dict[tuple[str, str], Outgoing] = {}
        self._forgotten: set[str] = set()

    def set(self, message: Message) -> None:
        """Keep the newest value; a value of a forgotten camera is ignored."""
        key = (message.camera, message.schema)
        value = Outgoing(
            topic=self._topics.of(*key),
            payload=message.payload,
            qos=1 if message.schema == STATE else 0,
            retain=True,
            user={"schema": message.schema, "seq": str(message.seq), "boot_id": message.boot_id},
        )
        with self._lock:
            if message.camera not in self._forgotten:
                self._removals.pop(key, None)
                self._values[key] = self._changed[key] = value

    def forget(self, camera: str) -> None:
        """Remove a camera's values from the broker by empty retained messages, also those of earlier runs."""
        with self._lock:
            self._forgotten.add(camera)
            for schema in RETAINED:
                key = (camera, schema)
                self._values.pop(key, None)
                self._removals[key] = self._changed[key] = Outgoing(topic=self._topics.of(*key), payload=b"", retain=True)

    def remember(self, camera: str) -> None:
        """Accept the values of a camera that was forgotten."""
        with self._lock:
            self._forgotten.discard(camera)

    def acknowledged(self, message: Outgoing) -> None:
        """Note that the broker has the message: a removal is done."""
        if not message.payload:
            with self._lock:
                self._removals = {key: removal for key, removal in self._removals.items() if removal is not message}

    def changed(self) -> list[Outgoing]:
        """Return the messages that changed since the last call."""
        if not self._changed:
            return []
        with self._lock:
            values = list(self._changed.values())
            self._changed.clear()
        return values

    def everything(self) -> list[Outgoing]:
        """Return all values and removals, for a new connection."""
        with self._lock:
            values = [*self._values.values(), *self._removals.values()]
            self._changed.clear()
        return values
