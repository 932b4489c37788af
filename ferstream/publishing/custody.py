"""Where each event of the outbox is: in memory, on disk, in flight; the one state its threads share.

Every method takes the one lock for a moment and touches no file. An event is *safe* once it
is on disk or settled (acknowledged or dropped); ``flush`` waits until none is unsafe.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence

from ferstream.publishing.lanes import Balance, Item, WaitingLanes

RESIDENT_EVENTS = 4096
"""More payloads than these leave memory once they are on disk."""
PREFETCH_EVENTS = 1024
"""Events per camera that are read back ahead of the sender."""

Lost = list[tuple[Item, str]]
"""Events that were dropped, with the reason."""


class Custody:
    """The events of one outbox."""

    def __init__(self, *, max_events: int, max_bytes: int, durable: bool) -> None:
        self._lanes = WaitingLanes(max_events=max_events, max_bytes=max_bytes)
        self._durable = durable
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._fresh: deque[Item] = deque()
        self._settled_rows: list[int] = []
        self._unsafe = self._resident = self._rows = 0
        self._loading = False

    # -- anyone --------------------------------------------------------------------------------

    @property
    def events(self) -> int:
        """Events held, in flight included."""
        return self._lanes.events

    @property
    def limits(self) -> tuple[int, int]:
        """Most events and most payload bytes."""
        return self._lanes.max_events, self._lanes.max_bytes

    def balance(self) -> Balance:
        """The books at this moment."""
        with self._lock:
            return self._lanes.balance()

    def wait_safe(self, timeout_s: float) -> int:
        """Wait until every event is acknowledged, dropped or on disk; how many are not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unsafe, timeout_s)
            return self._unsafe

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is held; True if so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lanes.events, timeout_s)

    # -- the publishing thread -----------------------------------------------------------------

    def append(self, item: Item) -> Lost:
        """Take a new event; what gave way for it."""
        item.made_ns = time.monotonic_ns()
        with self._lock:
            self._unsafe += 1
            self._resident += 1
            if self._durable:
                self._fresh.append(item)
            lost = self._lanes.add(item)
            self._settle([gone for gone, _ in lost])
        return lost

    def refuse(self, reason: str) -> None:
        """Book an event that could not be made."""
        with self._lock:
            self._lanes.refuse(reason)

    # -- the MQTT thread -----------------------------------------------------------------------

    def take(self, limit: int) -> tuple[list[Item], bool]:
        """Next events, now in flight; and whether payloads should be read back soon."""
        with self._lock:
            items = self._lanes.take(limit)
            hungry = self._rows > 0 and not self._loading and bool(self._lanes.missing(PREFETCH_EVENTS))
            self._loading = self._loading or hungry
        return items, hungry

    def acknowledge(self, items: Sequence[Item]) -> None:
        """The broker has these."""
        with self._lock:
            self._settle([item for item in items if self._lanes.acknowledge(item)])

    def reject(self, item: Item, reason: str) -> bool:
        """Give one up; False if it was no longer held."""
        with self._lock:
            known = self._lanes.drop(item, reason)
            if known:
                self._settle([item])
        return known

    def give_back(self) -> int:
        """What is in flight waits again; how many."""
        with self._lock:
            return self._lanes.give_back()

    # -- the spool's thread --------------------------------------------------------------------

    @property
    def rows_needed(self) -> int:
        """Rows on disk whose events are still held."""
        with self._lock:
            return self._rows - len(self._settled_rows)

    @property
    def rows(self) -> int:
        """Rows on disk."""
        return self._rows

    def collect(self, *, older_than_ns: int, limit: int) -> tuple[list[tuple[Item, bytes]], list[int]]:
        """Events made before then that should be written, and rows that should be deleted; ``stored`` or ``uncollect`` follows."""
        batch: list[tuple[Item, bytes]] = []
        with self._lock:
            while self._fresh and self._fresh[0].made_ns <= older_than_ns and len(batch) < limit:
                item = self._fresh.popleft()
                if not item.gone and item.payload is not None:
                    batch.append((item, item.payload))
            settled, self._settled_rows = self._settled_rows, []
        return batch, settled

    def uncollect(self, batch: Sequence[tuple[Item, bytes]], settled: Sequence[int]) -> None:
        """It could not be written: everything as before."""
        with self._lock:
            self._fresh.extendleft(item for item, _ in reversed(batch))
            self._settled_rows[:0] = settled

    def stored(self, items: Sequence[Item], first_row: int, deleted: int) -> None:
        """These are on disk now, in consecutive rows, and so many others are no longer."""
        with self._lock:
            self._rows += len(items) - deleted
            for row, item in enumerate(items, first_row):
                self._store(item, row)
            self._changed.notify_all()

    def wanted(self) -> list[Item]:
        """Events whose payload is needed soon and is on disk only."""
        with self._lock:
            self._loading = False
            return self._lanes.missing(PREFETCH_EVENTS)

    def loaded(self, items: Sequence[Item], payloads: Mapping[int, bytes]) -> Lost:
        """Give the payloads, by row, to these events; those without a sound one are dropped."""
        lost: Lost = []
        with self._lock:
            for item in items:
                payload = payloads.get(item.row)
                if item.gone or item.payload is not None:
                    continue
                if payload is not None and zlib.crc32(payload) == item.crc:
                    item.payload = payload
                    self._resident += 1
                elif self._lanes.drop(item, "corrupt"):
                    lost.append((item, "corrupt"))
            self._settle([item for item, _ in lost])
        return lost

    def adopt(self, items: list[Item]) -> Lost:
        """A file was opened that holds these, oldest first; those there is no room for."""
        with self._lock:
            self._rows = len(items)
            lost = self._lanes.recover(items)
            self._settle([item for item, _ in lost])
        return lost

    def forget_file(self) -> Lost:
        """The file is gone: what is in memory must be written anew, what was only in it is lost."""
        lost: Lost = []
        with self._lock:
            items = self._lanes.waiting()
            for item in items:
                if item.row:
                    item.row = 0
                    self._unsafe += 1
                if item.payload is None and self._lanes.drop(item, "corrupt"):
                    lost.append((item, "corrupt"))
            self._settle([item for item, _ in lost])
            self._fresh = deque(item for item in items if not item.gone)
            self._settled_rows.clear()
            self._rows = 0
        return lost

    # -- under the lock ------------------------------------------------------------------------

    def _settle(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.payload is not None:
                self._resident -= 1
                item.payload = None
            if item.row:
                self._settled_rows.append(item.row)
            else:
                self._unsafe -= 1
        if items:
            self._changed.notify_all()

    def _store(self, item: Item, row: int) -> None:
        if item.gone:  # answered while it was being written
            self._settled_rows.append(row)
            return
        item.row = row
        self._unsafe -= 1
        if self._resident > RESIDENT_EVENTS and not self._lanes.is_in_flight(item):
            item.payload = None
            self._resident -= 1
