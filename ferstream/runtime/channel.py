"""Bounded, closable queues between threads.

``Lanes`` holds one bounded queue per producer and is read by any number of threads. Readers share their
time among the lanes by weight (equal weights: round robin), so that one busy camera cannot starve another.
``Channel`` is a queue with a single lane. Reading ends with ``ClosedError`` when everything is closed and empty; there are no
sentinel objects. Any thread may call any method.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Generic, TypeVar

from ferstream.errors import ClosedError
from ferstream.runtime.lane_queue import LaneQueue, Readers

T = TypeVar("T")


class Overflow(Enum):
    """What ``Lane.put`` does when the lane is full."""

    BLOCK = "block"
    """The producer waits for room, so nothing is lost (recordings)."""
    DROP_OLDEST = "drop_oldest"
    """The oldest waiting item is dropped, so readers get the newest (live cameras)."""


class Lane(Generic[T]):
    """The producer's end of one queue in ``Lanes``; made by ``Lanes.open``."""

    def __init__(self, queue: LaneQueue[T], on_drop: Callable[[T], None] | None) -> None:
        self.key, self.capacity = queue.key, queue.capacity
        self._queue, self._lock, self._not_empty = queue, queue.readers.lock, queue.readers.not_empty
        self._on_drop = on_drop

    @property
    def blocked(self) -> int:
        """Number of threads that wait for room in ``put``, or for the last item to be taken in ``drain``."""
        with self._lock:
            return self._queue.blocked

    def put(self, item: T) -> None:
        """Append one item; a full lane waits or drops its oldest item, as its overflow policy says.

        Raises:
            ClosedError: The lane is closed, or was closed while waiting.
        """
        queue = self._queue
        dropped: list[T] | None = None
        with self._lock:
            while not queue.closed and (dropped := queue.make_room(item)) is None:
                queue.wait_not_full()
            if queue.closed:
                raise ClosedError(f"lane {self.key!r} is closed")
            queue.append(item)
            self._not_empty.notify()
        if self._on_drop is not None:
            for lost in dropped or ():
                self._on_drop(lost)

    @property
    def service(self) -> float:
        """Items taken so far, each divided by the weight at that time; the waiting lane with the lowest is next."""
        return self._queue.service

    def set_weight(self, weight: float) -> None:
        """Set the share of the readers' time that the lane gets when they are busy, relative to other lanes; at first 1.

        Raises:
            ValueError: ``weight`` is not positive.
        """
        if not weight > 0:
            raise ValueError(f"want weight > 0, got {weight}")
        with self._lock:
            self._queue.set_weight(weight)

    def close(self) -> None:
        """Refuse further items; waiting items can still be taken. May be called again."""
        with self._lock:
            self._queue.close()

    def drain(self, timeout_s: float) -> bool:
        """Close, and wait until readers have taken the waiting items. Then the key can be opened again.

        Args:
            timeout_s: Longest wait in seconds.

        Returns:
            Whether the lane is empty.
        """
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._queue.close()
            while self._queue.items:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._queue.wait_not_full(left_s)
            return True

    def abandon(self) -> list[T]:
        """Close, and remove and return the waiting items, so that the caller can count them. Then the key can be opened again."""
        with self._lock:
            return self._queue.abandon()

    def __len__(self) -> int:
        return len(self._queue.items)


class Lanes(Generic[T]):
    """Many bounded lanes with one reading side; readers are any number of threads."""

    def __init__(self) -> None:
        self._readers = Readers()
        self._lock, self._not_empty = self._readers.lock, self._readers.not_empty
        self._queues: dict[str, LaneQueue[T]] = {}
        self._taken: dict[str, int] = {}
        self._sealed = False

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
            key: Name of the lane, returned by ``take``.
            capacity: Most items that wait.
            overflow: What ``put`` does when the lane is full.
            on_drop: Called with each item dropped by ``DROP_OLDEST``, in the producer's thread and outside the lock.
            keep: Selects items that are never dropped for others, and have ``KEPT_ITEMS`` places of their own.

        Raises:
            ClosedError: ``close`` or ``seal`` was called.
            ValueError: ``capacity`` is below 1, or a lane with this key is not yet closed and empty.
        """
        if capacity < 1:
            raise ValueError(f"want capacity >= 1, got {capacity}")
        queue = LaneQueue(self._readers, key, capacity=capacity, drops=overflow is Overflow.DROP_OLDEST, keep=keep)
        with self._lock:
            if self._sealed:
                raise ClosedError("no lane can be added to closed lanes")
            previous = self._queues.get(key)
            if previous is not None:
                if previous.items or not previous.closed:
                    raise ValueError(f"lane {key!r} is in use")
                del self._queues[key]
            self._queues[key] = queue
        return Lane(queue, on_drop)

    def take(self, timeout_s: float | None = None) -> tuple[str, int, T]:
        """Wait for the next item.

        Args:
            timeout_s: Longest wait in seconds; None waits without a limit.

        Returns:
            The key of the lane, the number of the item within that key (from 0), and the item. The numbers
            continue when a key is opened again, so that ``Reorder`` works across connections of a camera.

        Raises:
            TimeoutError: No item came in time.
            ClosedError: Everything is closed and empty.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._lock:
            while True:
                queue = self._next_ready()
                if queue is not None:
                    return self._pop(queue)
                if self._sealed and not self._queues:
                    self._not_empty.notify_all()
                    raise ClosedError("closed and drained")
                left_s = None if deadline is None else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    raise TimeoutError
                self._readers.wait_not_empty(left_s)

    def refund(self, key: str) -> None:
        """Take back the charge for the last item taken from a lane: it was dropped at once, and is no service to its producer."""
        with self._lock:
            queue = self._queues.get(key)
            if queue is not None:
                queue.service -= 1 / queue.weight

    def _next_ready(self) -> LaneQueue[T] | None:
        """Return the waiting lane that got the least service for its weight; forget lanes that are closed and empty."""
        for queue in [queue for queue in self._queues.values() if queue.closed and not queue.items]:
            del self._queues[queue.key]
        return min((queue for queue in self._queues.values() if queue.items), key=lambda queue: queue.service, default=None)

    def _pop(self, queue: LaneQueue[T]) -> tuple[str, int, T]:
        number = self._taken.get(queue.key, 0)
        self._taken[queue.key] = number + 1
        return queue.key, number, queue.pop()

    def seal(self) -> None:
        """Refuse further lanes. Readers end when the existing lanes are closed by their producers and empty."""
        with self._lock:
            self._sealed = True
            self._not_empty.notify_all()

    def close(self) -> None:
        """Refuse further lanes and close the existing ones."""
        with self._lock:
            self._sealed = True
            self._not_empty.notify_all()
            for queue in self._queues.values():
                queue.close()

    def abandon(self) -> list[T]:
        """Close, and remove and return all waiting items, so that the caller can count them."""
        with self._lock:
            self._sealed = True
            self._not_empty.notify_all()
            return [item for queue in self._queues.values() for item in queue.abandon()]

    def __len__(self) -> int:
        with self._lock:
            return sum(len(queue.items) for queue in self._queues.values())

    @property
    def capacity(self) -> int:
        """Number of items that fit into all open lanes together."""
        with self._lock:
            return sum(queue.capacity for queue in self._queues.values())

    @property
    def waiting_readers(self) -> int:
        """Number of threads that wait for an item in ``take``."""
        with self._lock:
            return self._readers.waiting


class Channel(Generic[T]):
    """A bounded queue between two stages, closed by its producer."""

    def __init__(self, *, capacity: int, overflow: Overflow = Overflow.BLOCK, on_drop: Callable[[T], None] | None = None) -> None:
        self._lanes: Lanes[T] = Lanes()
        self._lane = self._lanes.open("", capacity=capacity, overflow=overflow, on_drop=on_drop)
        self.capacity = capacity

    def put(self, item: T) -> None:
        """Append one item; a full channel waits or drops its oldest item, as its overflow policy says.

        Raises:
            ClosedError: The channel is closed, or was closed while waiting.
        """
        self._lane.put(item)

    def get(self, timeout_s: float | None = None) -> T:
        """Wait for the next item, for at most ``timeout_s`` seconds (None: without a limit).

        Raises:
            TimeoutError: No item came in time.
            ClosedError: The channel is closed and empty.
        """
        return self._lanes.take(timeout_s)[2]

    def close(self) -> None:
        """Refuse further items; readers still get the waiting ones."""
        self._lanes.close()

    def abandon(self) -> list[T]:
        """Close, and remove and return all waiting items."""
        return self._lanes.abandon()

    @property
    def waiting_readers(self) -> int:
        """Number of threads that wait for an item in ``get``."""
        return self._lanes.waiting_readers

    @property
    def blocked_writers(self) -> int:
        """Number of threads that wait for room in ``put``."""
        return self._lane.blocked

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                yield self.get()
            except ClosedError:
                return

    def __len__(self) -> int:
        return len(self._lane)
