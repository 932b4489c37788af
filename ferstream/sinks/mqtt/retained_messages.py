"""The retained latest values: each camera's state and summary, and what changed since last told.

Any thread writes, the MQTT thread reads. A removal is told on every connection until one acknowledged it.
Only the newest value of each counts, so none of this goes through the outbox: after an outage subscribers
get the present state, not its history.
"""

from __future__ import annotations

import threading

from ferstream.events.encode import Message
from ferstream.events.payload import STATE, SUMMARY
from ferstream.sinks.mqtt.packets import Outgoing
from ferstream.sinks.mqtt.topics import Topics

RETAINED = (STATE, SUMMARY)
"""Schemas of which the broker keeps the latest value."""


class Board:
    """Latest retained message of each (camera, schema)."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str], Outgoing] = {}
        self._changed: dict[tuple[str, str], Outgoing] = {}
        self._removals: dict[tuple[str, str], Outgoing] = {}
        self._gone: set[str] = set()

    def set(self, message: Message) -> None:
        """Keep the newest value; one of a forgotten camera is ignored."""
        key = (message.camera, message.schema)
        value = Outgoing(
            topic=self._topics.of(*key),
            payload=message.payload,
            qos=1 if message.schema == STATE else 0,
            retain=True,
            user={"schema": message.schema, "seq": str(message.seq), "boot_id": message.boot_id},
        )
        with self._lock:
            if message.camera not in self._gone:
                self._removals.pop(key, None)
                self._values[key] = self._changed[key] = value

    def forget(self, camera: str) -> None:
        """The camera is gone: empty retained messages remove its values from the broker, also those of earlier runs."""
        with self._lock:
            self._gone.add(camera)
            for schema in RETAINED:
                key = (camera, schema)
                self._values.pop(key, None)
                self._removals[key] = self._changed[key] = Outgoing(topic=self._topics.of(*key), payload=b"", retain=True)

    def remember(self, camera: str) -> None:
        """The camera is there again: its values count from now on."""
        with self._lock:
            self._gone.discard(camera)

    def acknowledged(self, message: Outgoing) -> None:
        """The broker has it: a removal is done."""
        if not message.payload:
            with self._lock:
                self._removals = {key: removal for key, removal in self._removals.items() if removal is not message}

    def changed(self) -> list[Outgoing]:
        """Values not told yet; they count as told from now on."""
        if not self._changed:
            return []
        with self._lock:
            values = list(self._changed.values())
            self._changed.clear()
        return values

    def everything(self) -> list[Outgoing]:
        """All values and removals, for a new connection."""
        with self._lock:
            values = [*self._values.values(), *self._removals.values()]
            self._changed.clear()
        return values
