"""Bounded, closable hand-over of items between threads.

``Lanes`` is many queues with one reader side: each producer has its own lane with its own
capacity and overflow policy, readers take round robin, so that one busy camera cannot starve
another. ``Channel`` is the case of one lane. Iteration ends when everything is closed and
drained: no sentinel objects. Any thread may call any method.
"""

from __future__ import annotations

import threading
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

    def __init__(self, owner: Lanes[T], key: str, capacity: int, overflow: Overflow, on_drop: Callable[[T], None] | None) -> None:
        if capacity < 1:
            raise ValueError(f"want capacity >= 1, got {capacity}")
        self.key, self.capacity = key, capacity
        self._owner, self._overflow, self._on_drop = owner, overflow, on_drop
        self._items: deque[T] = deque()
        self._closed = False
        self._tickets = 0
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
                    dropped.append(self._items.popleft())
                else:
                    self._not_full.wait()
            if self._closed:
                raise ClosedError(f"lane {self.key!r} is closed")
            self._items.append(item)
            self._owner._not_empty.notify()
        if self._on_drop is not None:
            for lost in dropped:
                self._on_drop(lost)

    def close(self) -> None:
        """No more items; what waits can still be read. More than once is fine."""
        with self._owner._lock:
            self._closed = True
            self._not_full.notify_all()
            self._owner._not_empty.notify_all()

    def __len__(self) -> int:
        return len(self._items)


class Lanes(Generic[T]):
    """Many bounded lanes, one reading side; readers are any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_empty = threading.Condition(self._lock)
        self._lanes: dict[str, Lane[T]] = {}
        self._turn: deque[str] = deque()
        self._closed = False

    def open(self, key: str, *, capacity: int, overflow: Overflow, on_drop: Callable[[T], None] | None = None) -> Lane[T]:
        """Add a lane.

        Raises:
            ClosedError: ``close`` was called.
            ValueError: ``key`` is in use by a lane that is not closed and drained.
        """
        lane = Lane(self, key, capacity, overflow, on_drop)
        with self._lock:
            if self._closed:
                raise ClosedError("no lane can be added to closed lanes")
            if key in self._lanes:
                raise ValueError(f"lane {key!r} exists")
            self._lanes[key] = lane
            self._turn.append(key)
        return lane

    def take(self, timeout_s: float | None = None) -> tuple[str, int, T]:
        """Wait for the next item: its lane's key, its number within the lane from 0, and the item.

        Raises:
            TimeoutError: Nothing came in time.
            ClosedError: Everything is closed and drained.
        """
        with self._lock:
            while True:
                for key in list(self._turn):
                    lane = self._lanes[key]
                    if lane._items:
                        return self._pop(lane)
                    if lane._closed:
                        self._forget(lane)
                if self._closed and not self._lanes:
                    self._not_empty.notify_all()
                    raise ClosedError("closed and drained")
                if not self._not_empty.wait(timeout_s):
                    raise TimeoutError

    def _pop(self, lane: Lane[T]) -> tuple[str, int, T]:
        item = lane._items.popleft()
        number = lane._tickets
        lane._tickets += 1
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
            rest = [item for lane in self._lanes.values() for item in lane._items]
            for lane in self._lanes.values():
                lane._items.clear()
            self._not_empty.notify_all()
            return rest

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
