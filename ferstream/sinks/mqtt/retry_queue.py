"""What becomes of events that the broker refuses: tried again after a growing pause, or given up; the MQTT thread only.

A refusal is no reason to leave the connection: everything else in flight would be sent twice. What waits
here still counts as in flight for the outbox, so it goes back there, and to disk, when the connection ends.
"""

from __future__ import annotations

import heapq
import logging
import time

from ferstream.outbox.fair_queue import Item
from ferstream.outbox.outbox import Outbox
from ferstream.runtime.observer import Observer
from ferstream.sinks.mqtt import reason_codes

MAX_REFUSALS = 3
"""So often the broker may refuse an event for a reason that tells nothing."""
PAUSE_FLOOR_S, PAUSE_CAP_S = 0.5, 30.0

_LOG = logging.getLogger(__name__)


class Refusals:
    """The refused events of one connection after the other."""

    def __init__(self, *, outbox: Outbox, observer: Observer, where: str) -> None:
        """``where`` names the broker in the log."""
        self._outbox, self._observer, self._where = outbox, observer, where
        self._waiting: list[tuple[float, int, Item]] = []
        self._told: set[tuple[str, int, str]] = set()

    def __len__(self) -> int:
        """Events that wait to be sent again."""
        return len(self._waiting)

    def add(self, item: Item, code: int, topic: str) -> None:
        """The broker refused it with this reason code."""
        item.refusals += 1
        if code in reason_codes.NEVER_TAKEN:
            self._give_up(item, code, topic, "rejected")
        elif code not in reason_codes.PASSING and item.refusals >= MAX_REFUSALS:
            self._give_up(item, code, topic, "refused")
        else:
            pause_s = min(PAUSE_CAP_S, PAUSE_FLOOR_S * 2.0 ** min(item.refusals - 1, 16))
            heapq.heappush(self._waiting, (time.monotonic() + pause_s, item.order, item))
            self.tell(topic, code, "tried again")

    def due(self, limit: int) -> list[Item]:
        """Up to so many whose pause is over."""
        now = time.monotonic()
        items: list[Item] = []
        while self._waiting and len(items) < limit and self._waiting[0][0] <= now:
            items.append(heapq.heappop(self._waiting)[2])
        return items

    def clear(self) -> None:
        """The connection ended; the outbox takes its events back."""
        self._waiting.clear()
        self._told.clear()

    def tell(self, topic: str, code: int, what: str) -> None:
        """Log a refusal and what becomes of it, once for each topic of a connection."""
        if (topic, code, what) not in self._told:
            self._told.add((topic, code, what))
            why = reason_codes.words(reason_codes.PUBLISH_FAILED, code)
            _LOG.error("mqtt: %s refuses what goes to %s: %s; %s, and not told again", self._where, topic, why, what)

    def _give_up(self, item: Item, code: int, topic: str, reason: str) -> None:
        self._observer.count("mqtt_publish", "rejected")
        self._outbox.reject(item, reason)
        self.tell(topic, code, "dropped")
