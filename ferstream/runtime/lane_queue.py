"""The state that ``Lanes`` and ``Lane`` share: one queue per lane, and the reading side of all lanes.

Only channel.py uses it. Every method and attribute is for a thread that holds ``Readers.lock``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Readers:
    """The reading side of all lanes of one ``Lanes``.

    Attributes:
        lock: Guards all lanes.
        not_empty: Readers wait on it; notified when an item was put and when a lane was closed.
        waiting: Number of threads that wait on ``not_empty``.
        virtual_time: The ``service`` of the lane that was read last, before that read.
    """

    __slots__ = ("lock", "not_empty", "virtual_time", "waiting")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.not_empty = threading.Condition(self.lock)
        self.waiting = 0
        self.virtual_time = 0.0

    def wait_not_empty(self, timeout_s: float | None) -> None:
        """Wait for a notification, for at most ``timeout_s`` seconds (None: without a limit)."""
        self.waiting += 1
        try:
            self.not_empty.wait(timeout_s)
        finally:
            self.waiting -= 1


KEPT_ITEMS = 2
"""Items that ``keep`` selects and that find room in a full lane that drops."""


class LaneQueue(Generic[T]):
    """State of one lane.

    Lanes share their readers by stride scheduling (Waldspurger and Weihl, 1995): a lane's ``service`` grows by
    1 / ``weight`` with each item that is taken, and the waiting lane with the lowest ``service`` is next.

    Attributes:
        readers: The reading side.
        key: Name of the lane.
        capacity: Largest number of waiting items.
        drops: Whether a full queue drops its oldest item, or its producer waits.
        weight: Share of the readers that the lane gets, relative to other lanes; positive.
        service: Items taken so far, each divided by the weight at that time.
        items: The waiting items, oldest first.
        closed: Whether further items are rejected.
        not_full: Producers wait on it; notified when an item was taken and when the lane was closed.
        blocked: Number of threads that wait on ``not_full``.
    """

    __slots__ = ("blocked", "capacity", "closed", "drops", "items", "keep", "key", "not_full", "readers", "service", "weight")

    def __init__(self, readers: Readers, key: str, *, capacity: int, drops: bool, keep: Callable[[T], bool] | None) -> None:
        """Start empty, with weight 1.

        Args:
            readers: The reading side.
            key: Name of the lane.
            capacity: Largest number of waiting items; with ``drops`` and ``keep``, ``KEPT_ITEMS`` more that ``keep`` selects.
            drops: Whether a full queue drops its oldest item.
            keep: Selects items that are never dropped for others; None for no items.
        """
        self.weight, self.service = 1.0, readers.virtual_time
        self.readers, self.key, self.capacity, self.drops, self.keep = readers, key, capacity, drops, keep
        self.items: deque[T] = deque()
        self.closed = False
        self.not_full = threading.Condition(readers.lock)
        self.blocked = 0

    def append(self, item: T) -> None:
        """Append an item. A lane that was empty for long starts at the present virtual time: it gets no more than its share later."""
        if not self.items:
            self.service = max(self.service, self.readers.virtual_time - 1 / self.weight)
        self.items.append(item)

    def set_weight(self, weight: float) -> None:
        """Change the weight; the items that the lane is ahead of or behind the others stay the same."""
        now = self.readers.virtual_time
        self.service = now + (self.service - now) * self.weight / weight
        self.weight = weight

    def pop(self) -> T:
        """Remove and return the oldest item, and count it as service."""
        self.readers.virtual_time = max(self.readers.virtual_time, self.service)
        self.service += 1 / self.weight
        self.not_full.notify()
        return self.items.popleft()

    def make_room(self, item: T) -> list[T] | None:
        """Make room for ``item``.

        A lane that drops removes its oldest item. Items that ``keep`` selects have room of their own, so that none is
        dropped for another item; when they are too many, the newest of them gives way to the next.

        Returns:
            The dropped items; None if there is no room and the lane does not drop.
        """
        if not self.drops:
            return None if len(self.items) >= self.capacity else []
        kept = self.keep is not None and self.keep(item)
        alike = [place for place, waiting in enumerate(self.items) if (self.keep is not None and self.keep(waiting)) == kept]
        if len(alike) < (KEPT_ITEMS if kept else self.capacity):
            return []
        place = alike[-1 if kept else 0]
        victim = self.items[place]
        del self.items[place]
        return [victim]

    def close(self) -> None:
        """Reject further items, and wake all readers and producers."""
        self.closed = True
        self.not_full.notify_all()
        self.readers.not_empty.notify_all()

    def abandon(self) -> list[T]:
        """Close, and remove and return the waiting items."""
        rest = list(self.items)
        self.items.clear()
        self.close()
        return rest

    def wait_not_full(self, timeout_s: float | None = None) -> None:
        """Wait for a notification, for at most ``timeout_s`` seconds (None: without a limit)."""
        self.blocked += 1
        try:
            self.not_full.wait(timeout_s)
        finally:
            self.blocked -= 1
