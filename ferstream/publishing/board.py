"""The retained latest values: each camera's state and summary, and what changed since last told.

Any thread writes, the MQTT thread reads. Only the newest value of each counts, so none of this
goes through the outbox: after an outage subscribers get the present state, not its history.
"""

from __future__ import annotations

import threading

from ferstream.publishing.encode import Message
from ferstream.publishing.packets import Outgoing
from ferstream.publishing.payload import STATE
from ferstream.publishing.topics import Topics


class Board:
    """Latest retained message of each (camera, schema)."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str], Outgoing] = {}
        self._changed: dict[tuple[str, str], Outgoing] = {}

    def set(self, message: Message) -> None:
        """Remember the newest value."""
        key = (message.camera, message.schema)
        value = Outgoing(
            topic=self._topics.of(*key),
            payload=message.payload,
            qos=1 if message.schema == STATE else 0,
            retain=True,
            user={"schema": message.schema, "seq": str(message.seq), "boot_id": message.boot_id},
        )
        with self._lock:
            self._values[key] = self._changed[key] = value

    def forget(self, camera: str) -> None:
        """The camera is gone: an empty retained message removes each of its values from the broker."""
        with self._lock:
            for key in [key for key in self._values if key[0] == camera]:
                del self._values[key]
                self._changed[key] = Outgoing(topic=self._topics.of(*key), payload=b"", retain=True)

    def changed(self) -> list[Outgoing]:
        """Values not told yet; they count as told from now on."""
        if not self._changed:
            return []
        with self._lock:
            values = list(self._changed.values())
            self._changed.clear()
        return values

    def everything(self) -> list[Outgoing]:
        """All values, for a new connection; removals not told yet included."""
        with self._lock:
            values = list((self._values | self._changed).values())
            self._changed.clear()
        return values
