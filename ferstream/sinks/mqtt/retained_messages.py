"""The retained messages of the broker: the latest state and summary of each camera, and announcements on other topics.

Any thread writes, the MQTT thread reads. A removal is sent on every connection until one acknowledges it. Only the
newest value of each topic counts, so none of this goes through the outbox: after an outage subscribers get
the present state, not its history.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ferstream.domain.message import Message
from ferstream.events.schemas import STATE, SUMMARY
from ferstream.sinks.mqtt.packets import Outgoing
from ferstream.sinks.mqtt.topics import Topics

RETAINED = (STATE, SUMMARY)
"""Schemas of which the broker keeps the latest value."""

OnRemoved = Callable[[str], None]
"""Takes the topic that the broker no longer keeps; called by the MQTT thread, and must not call back."""


@dataclass(frozen=True, slots=True)
class _Removal:
    message: Outgoing
    on_removed: OnRemoved | None = None


class RetainedMessages:
    """The latest retained message of each topic, and which of them the broker lacks."""

    def __init__(self, topics: Topics) -> None:
        """Make it without messages."""
        self._topics = topics
        self._lock = threading.Lock()
        self._values: dict[str, Outgoing] = {}
        self._announcements: dict[str, Outgoing] = {}
        self._changed: dict[str, Outgoing] = {}
        self._removals: dict[str, _Removal] = {}
        self._forgotten: set[str] = set()

    def set(self, message: Message) -> None:
        """Keep the newest state or summary of a camera; that of a forgotten camera is ignored."""
        value = Outgoing(
            topic=self._topics.of(message.camera, message.schema),
            payload=message.payload,
            qos=1 if message.schema == STATE else 0,
            retain=True,
            user={"schema": message.schema, "seq": str(message.seq), "boot_id": message.boot_id},
        )
        with self._lock:
            if message.camera not in self._forgotten:
                self._keep(self._values, value)

    def set_value(self, value: Outgoing) -> None:
        """Keep the newest message of a topic that is no camera's; it is published again with the states, and at the end."""
        with self._lock:
            self._keep(self._values, value)

    def announce(self, message: Outgoing) -> None:
        """Keep a message that does not describe a moment: it is published now and on every connection, and not again in between."""
        with self._lock:
            self._keep(self._announcements, message)

    def remove(self, topic: str, on_removed: OnRemoved | None = None) -> None:
        """Remove what the broker keeps on a topic, also of earlier runs.

        Args:
            topic: The topic.
            on_removed: Called by the MQTT thread when the broker has acknowledged the removal.
        """
        with self._lock:
            self._remove(topic, on_removed)

    def forget(self, camera: str) -> None:
        """Remove a camera's values from the broker by empty retained messages, also those of earlier runs."""
        with self._lock:
            self._forgotten.add(camera)
            for schema in RETAINED:
                self._remove(self._topics.of(camera, schema), None)

    def remember(self, camera: str) -> None:
        """Accept the values of a camera that was forgotten."""
        with self._lock:
            self._forgotten.discard(camera)

    def acknowledged(self, message: Outgoing) -> None:
        """Note that the broker has the message: a removal is done."""
        if message.payload:
            return
        with self._lock:
            removal = self._removals.get(message.topic)
            if removal is None or removal.message is not message:
                return
            del self._removals[message.topic]
            if removal.on_removed is not None:  # under the lock: what is announced on the topic now comes after it
                removal.on_removed(message.topic)

    def changed(self) -> list[Outgoing]:
        """Return the messages that changed since the last call, in the order of the changes."""
        if not self._changed:
            return []
        with self._lock:
            values = list(self._changed.values())
            self._changed.clear()
        return values

    def everything(self) -> list[Outgoing]:
        """Return all removals, announcements and values, for a new connection.

        Removals come first: an announcement on a new topic may replace one that is removed.
        """
        with self._lock:
            values = [*self._removed(), *self._announcements.values(), *self._values.values()]
            self._changed.clear()
        return values

    def latest(self) -> list[Outgoing]:
        """Return all removals and values, and announcements that changed, to be published again on the same connection."""
        with self._lock:
            changed = [message for topic, message in self._changed.items() if topic in self._announcements]
            values = [*self._removed(), *changed, *self._values.values()]
            self._changed.clear()
        return values

    def _removed(self) -> list[Outgoing]:
        return [removal.message for removal in self._removals.values()]

    def _keep(self, kept: dict[str, Outgoing], message: Outgoing) -> None:
        """Keep a message, as the last of the changes. The caller holds the lock."""
        self._removals.pop(message.topic, None)
        self._changed.pop(message.topic, None)
        kept[message.topic] = self._changed[message.topic] = message

    def _remove(self, topic: str, on_removed: OnRemoved | None) -> None:
        """Queue a removal. The caller holds the lock."""
        self._values.pop(topic, None)
        self._announcements.pop(topic, None)
        self._changed.pop(topic, None)
        removal = _Removal(Outgoing(topic=topic, payload=b"", retain=True), on_removed)
        self._removals[topic], self._changed[topic] = removal, removal.message
