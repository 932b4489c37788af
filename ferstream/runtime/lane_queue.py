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
    """

    __slots__ = ("lock", "not_empty", "waiting")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.not_empty = threading.Condition(self.lock)
        self.waiting = 0

    def wait_not_empty(self, timeout_s: float | None) -> None:
        """Wait for a notification, for at most ``timeout_s`` seconds (None: without a limit)."""
        self.waiting += 1
        try:
            self.not_empty.wait(timeout_s)
        finally:
            self.waiting -= 1


class LaneQueue(Generic[T]):
    """State of one lane.

    Attributes:
        readers: The reading side.
        key: Name of the lane.
        capacity: Largest number of waiting items.
        drops: Whether a full queue drops its oldest item, or its producer waits.
        items: The waiting items, oldest first.
        closed: Whether further items are rejected.
        not_full: Producers wait on it; notified when an item was taken and when the lane was closed.
        blocked: Number of threads that wait on ``not_full``.
    """

    __slots__ = ("blocked", "capacity", "closed", "drops", "items", "keep", "key", "not_full", "readers")

    def __init__(self, readers: Readers, key: str, *, capacity: int, drops: bool, keep: Callable[[T], bool] | None) -> None:
        """Start empty.

        Args:
            readers: The reading side.
            key: Name of the lane.
            capacity: Largest number of waiting items.
            drops: Whether a full queue drops its oldest item.
            keep: Selects items that are dropped only when there are no others; None for no items.
        """
        self.readers, self.key, self.capacity, self.drops, self.keep = readers, key, capacity, drops, keep
        self.items: deque[T] = deque()
        self.closed = False
        self.not_full = threading.Condition(readers.lock)
        self.blocked = 0

    def is_full(self) -> bool:
        """Return whether there is no room for another item."""
        return len(self.items) >= self.capacity

    def drop_oldest(self) -> T:
        """Remove and return the oldest item that need not be kept, or the oldest one if all are to be kept."""
        place = 0
        if self.keep is not None:
            place = next((place for place, item in enumerate(self.items) if not self.keep(item)), 0)
        item = self.items[place]
        del self.items[place]
        return item

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
