"""What happens to events that the broker refuses: sent again after a growing pause, or dropped. The MQTT thread only.

A refused event is no reason to leave the connection: everything else in flight would be sent twice. Events that wait
here still count as in flight for the outbox, so they go back to it, and to its disk, when the connection ends.
"""

from __future__ import annotations

import heapq
import logging
import time

from ferstream.outbox.entry import Delivery
from ferstream.outbox.reader import OutboxReader
from ferstream.runtime.observer import Observer
from ferstream.sinks.mqtt import reason_codes

MAX_REFUSALS = 3
"""Refusals after which an event is dropped when the reason code says nothing about the cause."""

_TOO_LARGE = 0x95

_LOG = logging.getLogger(__name__)


class RetryQueue:
    """The refused events of one connection."""

    def __init__(self, *, reader: OutboxReader, observer: Observer, broker: str, pause_floor_s: float, pause_cap_s: float) -> None:
        """Make an empty queue.

        Args:
            reader: Where dropped events are counted.
            observer: Counts refusals.
            broker: Name of the broker for the log, ``scheme://host:port``.
            pause_floor_s: Seconds until an event is sent again after its first refusal; each further refusal doubles it.
            pause_cap_s: Longest pause in seconds.
        """
        self._reader, self._observer, self._broker = reader, observer, broker
        self._pause_floor_s, self._pause_cap_s = pause_floor_s, pause_cap_s
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._logged: set[tuple[str, int, str]] = set()

    def __len__(self) -> int:
        """Events that wait to be sent again."""
        return len(self._waiting)

    def add(self, delivery: Delivery, code: int, topic: str) -> None:
        """Take an event that the broker refused with this reason code."""
        delivery.attempts += 1
        if code in reason_codes.NEVER_ACCEPTED:
            self._drop(delivery, code, topic, "rejected")
        elif code not in reason_codes.TEMPORARY and delivery.attempts >= MAX_REFUSALS:
            self._drop(delivery, code, topic, "refused")
        else:
            pause_s = min(self._pause_cap_s, self._pause_floor_s * 2.0 ** min(delivery.attempts - 1, 16))
            heapq.heappush(self._waiting, (time.monotonic() + pause_s, delivery.order, delivery))
            self.log(topic, code, "it is sent again")

    def due(self, limit: int) -> list[Delivery]:
        """Return up to ``limit`` events whose pause is over."""
        now = time.monotonic()
        deliveries: list[Delivery] = []
        while self._waiting and len(deliveries) < limit and self._waiting[0][0] <= now:
            deliveries.append(heapq.heappop(self._waiting)[2])
        return deliveries

    def too_large(self, delivery: Delivery | None, topic: str, *, size: int, limit: int) -> None:
        """Drop an event whose packet the broker does not take; logged once per topic of a connection.

        Args:
            delivery: The event; None for a retained message, which is not sent on this connection.
            topic: Its topic.
            size: Size of its packet in bytes.
            limit: The broker's limit in bytes.
        """
        if delivery is not None:
            self._observer.count("mqtt_publish", "rejected")
            self._reader.refuse(delivery, "rejected")
        if (topic, _TOO_LARGE, "") not in self._logged:
            self._logged.add((topic, _TOO_LARGE, ""))
            _LOG.error(
                "mqtt: a message to %s of %d bytes is not sent: %s takes packets of up to %d bytes; raise its limit. "
                "Further messages to this topic that are too large are counted, not logged",
                topic,
                size,
                self._broker,
                limit,
            )

    def log(self, topic: str, code: int, what: str) -> None:
        """Log a refusal and what happens next, once per topic of a connection."""
        if (topic, code, what) not in self._logged:
            self._logged.add((topic, code, what))
            why = reason_codes.words(reason_codes.PUBLISH_FAILED, code)
            _LOG.error("mqtt: %s refused a message to %s: %s; %s. Further refusals are not logged", self._broker, topic, why, what)

    def _drop(self, delivery: Delivery, code: int, topic: str, reason: str) -> None:
        self._observer.count("mqtt_publish", "rejected")
        self._reader.refuse(delivery, reason)
        self.log(topic, code, "it is dropped")
