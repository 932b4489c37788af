"""Bounded, closable hand-over of items between threads.

``Lanes`` is many queues with one reader side: each producer has its own lane with its own
capacity and overflow policy, readers take round robin, so that one busy camera cannot starve
another. ``Channel`` is the case of one lane. Iteration ends when everything is closed and
drained: no sentinel objects. Any thread may call any method.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Generic, TypeVar

from ferstream.errors import ClosedError

T = TypeVar("T")


class Overflow(Enum):
    """What a full lane does with the next item."""

    BLOCK = "block"
    """The producer waits: nothing is lost (recordings)."""
    DROP_OLDEST = "drop_oldest"
    """The oldest waiting item gives way: the freshest wins (live)."""


class Lane(Generic[T]):
    """One producer's queue inside ``Lanes``; made by ``Lanes.open``."""

    def __init__(
        self,
        owner: Lanes[T],
        key: str,
        capacity: int,
        overflow: Overflow,
        on_drop: Callable[[T], None] | None,
        keep: Callable[[T], bool] | None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"want capacity >= 1, got {capacity}")
        self.key, self.capacity = key, capacity
        self._owner, self._overflow, self._on_drop, self._keep = owner, overflow, on_drop, keep
        self._items: deque[T] = deque()
        self._closed = False
        self._not_full = threading.Condition(owner._lock)

    def put(self, item: T) -> None:
        """Hand over one item; a full lane waits or drops its oldest, as its policy says.

        Raises:
            ClosedError: The lane is closed, or was closed while waiting.
        """
        dropped: list[T] = []
        with self._owner._lock:
            while not self._closed and len(self._items) >= self.capacity:
                if self._overflow is Overflow.DROP_OLDEST:
                    dropped.append(self._give_way())
                else:
                    self._not_full.wait()
            if self._closed:
                raise ClosedError(f"lane {self.key!r} is closed")
            self._items.append(item)
            self._owner._not_empty.notify()
        if self._on_drop is not None:
            for lost in dropped:
                self._on_drop(lost)

    def _give_way(self) -> T:
        place = 0
        if self._keep is not None:
            place = next((place for place, item in enumerate(self._items) if not self._keep(item)), 0)
        item = self._items[place]
        del self._items[place]
        return item

    def close(self) -> None:
        """No more items; what waits can still be read. More than once is fine."""
        with self._owner._lock:
            self._closed = True
            self._not_full.notify_all()
            self._owner._not_empty.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Close, and wait until what waits was taken; True if it was. Then the key can be opened again."""
        self.close()
        with self._owner._lock:
            return self._not_full.wait_for(lambda: not self._items, timeout_s)

    def abandon(self) -> list[T]:
        """Close and take away what waits, to be counted by the caller. Then the key can be opened again."""
        self.close()
        with self._owner._lock:
            rest = list(self._items)
            self._items.clear()
            self._not_full.notify_all()
            return rest

    def __len__(self) -> int:
        return len(self._items)


class Lanes(Generic[T]):
    """Many bounded lanes, one reading side; readers are any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_empty = threading.Condition(self._lock)
        self._lanes: dict[str, Lane[T]] = {}
        self._tickets: dict[str, int] = {}
        self._turn: deque[str] = deque()
        self._closed = False

    def open(
        self,
        key: str,
        *,
        capacity: int,
        overflow: Overflow,
        on_drop: Callable[[T], None] | None = None,
        keep: Callable[[T], bool] | None = None,
    ) -> Lane[T]:
        """Add a lane.

        Args:
            key: Its name, for ``take``.
            capacity: Items that may wait.
            overflow: What a full lane does.
            on_drop: Told of each item that gave way, by the producer's thread and outside the lock.
            keep: Items that give way only when there are no others.

        Raises:
            ClosedError: ``close`` was called.
            ValueError: ``key`` is in use by a lane that is not closed and drained.
        """
        lane = Lane(self, key, capacity, overflow, on_drop, keep)
        with self._lock:
            if self._closed:
                raise ClosedError("no lane can be added to closed lanes")
            before = self._lanes.get(key)
            if before is not None:
                if before._items or not before._closed:
                    raise ValueError(f"lane {key!r} is in use")
                self._forget(before)
            self._lanes[key] = lane
            self._turn.append(key)
        return lane

    def take(self, timeout_s: float | None = None) -> tuple[str, int, T]:
        """Wait for the next item: its lane's key, its number among all items of that key from 0, and the item.

        The numbers go on when a key is opened again, so that whoever restores the order need not know.

        Raises:
            TimeoutError: Nothing came in time.
            ClosedError: Everything is closed and drained.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._lock:
            while True:
                lane = self._ready()
                if lane is not None:
                    return self._pop(lane)
                if self._closed and not self._lanes:
                    self._not_empty.notify_all()
                    raise ClosedError("closed and drained")
                left_s = None if deadline is None else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    raise TimeoutError
                self._not_empty.wait(left_s)

    def _ready(self) -> Lane[T] | None:
        for key in list(self._turn):
            lane = self._lanes[key]
            if lane._items:
                return lane
            if lane._closed:
                self._forget(lane)
        return None

    def _pop(self, lane: Lane[T]) -> tuple[str, int, T]:
        item = lane._items.popleft()
        number = self._tickets.get(lane.key, 0)
        self._tickets[lane.key] = number + 1
        lane._not_full.notify()
        self._turn.remove(lane.key)
        self._turn.append(lane.key)
        return lane.key, number, item

    def _forget(self, lane: Lane[T]) -> None:
        del self._lanes[lane.key]
        self._turn.remove(lane.key)

    def seal(self) -> None:
        """No more lanes; readers end when those there are have been closed by their producers and drained."""
        with self._lock:
            self._closed = True
            self._not_empty.notify_all()

    def close(self) -> None:
        """No more lanes, and close those there are."""
        with self._lock:
            self._closed = True
            lanes = list(self._lanes.values())
            self._not_empty.notify_all()
        for lane in lanes:
            lane.close()

    def abandon(self) -> list[T]:
        """Close and take away everything that waits, to be counted by the caller."""
        self.close()
        with self._lock:
            lanes = list(self._lanes.values())
        return [item for lane in lanes for item in lane.abandon()]

    def __len__(self) -> int:
        with self._lock:
            return sum(len(lane._items) for lane in self._lanes.values())

    @property
    def capacity(self) -> int:
        """Items that fit into all open lanes together."""
        with self._lock:
            return sum(lane.capacity for lane in self._lanes.values())


class Channel(Generic[T]):
    """A bounded queue between two stages, closed by its producer."""

    def __init__(self, *, capacity: int, overflow: Overflow = Overflow.BLOCK, on_drop: Callable[[T], None] | None = None) -> None:
        self._lanes: Lanes[T] = Lanes()
        self._lane = self._lanes.open("", capacity=capacity, overflow=overflow, on_drop=on_drop)
        self.capacity = capacity

    def put(self, item: T) -> None:
        """Hand over one item.

        Raises:
            ClosedError: The channel is closed, or was closed while waiting.
        """
        self._lane.put(item)

    def get(self, timeout_s: float | None = None) -> T:
        """Wait for the next item.

        Raises:
            TimeoutError: Nothing came in time.
            ClosedError: Closed and drained.
        """
        return self._lanes.take(timeout_s)[2]

    def close(self) -> None:
        """No more items; readers drain what waits."""
        self._lanes.close()

    def abandon(self) -> list[T]:
        """Close and take away everything that waits."""
        return self._lanes.abandon()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                yield self.get()
            except ClosedError:
                return

    def __len__(self) -> int:
        return len(self._lane)
