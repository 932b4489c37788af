"""Where each event of the outbox is: in memory, on disk, in flight; the one state its threads share.

Every method takes the one lock for a moment and touches no file. An event is *safe* once it
is on disk or settled (acknowledged or dropped); ``flush`` waits until none is unsafe.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set

from ferstream.outbox.fair_queue import Balance, Item, WaitingLanes

RESIDENT_EVENTS = 4096
"""More payloads than these leave memory once they are on disk."""
PREFETCH_EVENTS = 1024
"""Events per camera that are read back ahead of the sender."""

Lost = list[tuple[Item, str]]
"""Events that were dropped, with the reason."""


def checksum(item: Item, payload: bytes) -> int:
    """CRC over head and payload of a row."""
    head = f"{item.camera}\0{item.schema}\0{item.boot_id}\0{item.seq}\0"
    return zlib.crc32(payload, zlib.crc32(head.encode()))


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

    def collect(self, *, older_than_ns: int, limit: int) -> list[tuple[Item, bytes]]:
        """Events made before then that should be written; ``stored`` or ``uncollect`` follows."""
        batch: list[tuple[Item, bytes]] = []
        with self._lock:
            while self._fresh and self._fresh[0].made_ns <= older_than_ns and len(batch) < limit:
                item = self._fresh.popleft()
                if not item.gone and item.payload is not None:
                    batch.append((item, item.payload))
        return batch

    def uncollect(self, batch: Sequence[tuple[Item, bytes]]) -> None:
        """It could not be written: everything as before."""
        with self._lock:
            self._fresh.extendleft(item for item, _ in reversed(batch))

    def settled(self) -> list[int]:
        """Rows that should be deleted; they stay settled until ``deleted`` follows."""
        with self._lock:
            return list(self._settled_rows)

    def deleted(self, count: int) -> None:
        """The first so many of ``settled`` are no longer on disk."""
        with self._lock:
            del self._settled_rows[:count]
            self._rows -= count

    def stored(self, items: Sequence[Item], first_row: int) -> None:
        """These are on disk now, in consecutive rows."""
        with self._lock:
            self._rows += len(items)
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
                if payload is not None and item.crc == checksum(item, payload):
                    item.payload = payload
                    self._resident += 1
                elif self._lanes.drop(item, "corrupt"):
                    lost.append((item, "corrupt"))
            self._settle([item for item, _ in lost])
        return lost

    def adopt(self, items: Sequence[Item], unwanted: Callable[[Item], str | None]) -> Lost:
        """A file was opened that holds these, oldest first; those there is no room for or that are ``unwanted``, with the reason.

        It may be the file that was open before, closed without a word: what is held or settled already is not taken twice.
        """
        with self._lock:
            lost = self._reconcile({item.row for item in items})
            known = {*self._settled_rows, *(item.row for item in self._lanes.waiting())}
            judged = [(item, unwanted(item)) for item in items if item.row not in known]
            refused = [(item, reason) for item, reason in judged if reason is not None]
            for item, reason in refused:
                self._lanes.recover_lost(item, reason)
            lost += refused + self._lanes.recover([item for item, reason in judged if reason is None])
            self._settle([item for item, _ in lost])
        return lost

    def forget_file(self) -> Lost:
        """The file is gone: what is in memory must be written anew, what was only in it is lost."""
        with self._lock:
            lost = self._reconcile(set())
            self._settle([item for item, _ in lost])
        return lost

    # -- under the lock ------------------------------------------------------------------------

    def _reconcile(self, rows: Set[int]) -> Lost:
        """The file holds these rows and no others; what was only in others, to be settled by the caller."""
        lost: Lost = []
        items = self._lanes.waiting()
        for item in items:
            if item.row and item.row not in rows:
                item.row = 0
                self._unsafe += 1
                if item.payload is None and self._lanes.drop(item, "corrupt"):
                    lost.append((item, "corrupt"))
        self._fresh = deque(item for item in items if not item.gone and not item.row)
        self._settled_rows = [row for row in self._settled_rows if row in rows]
        self._rows = len(rows)
        return lost

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
