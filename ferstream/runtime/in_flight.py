"""Limits how many items are between two points of a pipeline, and measures how long they take; any thread.

A worker reserves a place before it takes an item from a queue. The place is free again when the item has left the
last of the stages, or was dropped on the way. So items wait in the queue, where the freshest one can be chosen, and
not between the stages, where they would only grow old.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable

from ferstream.runtime.clock import Clock
from ferstream.runtime.staleness import ExpectedTime

UNLIMITED = 0
_STEP = 1 / 8
"""Change of the number of places with each item that leaves, when the items take too long or fast enough again."""


class Transit:
    """Measures the time of items between two points, each item known by a key.

    Args:
        clock: Monotonic time.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._entered_ns: dict[Hashable, int] = {}
        self.time = ExpectedTime()
        """Time of the items that left."""

    def __len__(self) -> int:
        return len(self._entered_ns)

    def enter(self, keys: Iterable[Hashable]) -> None:
        """Start the time of these items."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            self._entered_ns.update(dict.fromkeys(keys, now_ns))

    def forget(self, keys: Iterable[Hashable]) -> None:
        """Remove items that did not come through."""
        with self._lock:
            for key in keys:
                self._entered_ns.pop(key, None)

    def leave(self, keys: Iterable[Hashable]) -> None:
        """End the time of these items; those that have left already are ignored."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            entered = [self._entered_ns.pop(key, None) for key in keys]
        for entered_ns in entered:
            if entered_ns is not None:
                self.time.observe(now_ns - entered_ns)


class InFlight:
    """The places of items that are on their way.

    On a machine that is so slow that items take longer than ``target_s``, fewer places are used: several items that
    share the CPU would all come too late.

    Args:
        limit: Number of places; ``UNLIMITED`` only counts and measures.
        target_s: Time in seconds that an item should need; longer times lower the number of places, down to 1.
        clock: Monotonic time.
    """

    def __init__(self, *, limit: int, target_s: float, clock: Clock) -> None:
        if limit < 0:
            raise ValueError(f"want limit >= 0, got {limit}")
        self._limit, self._target_ns = limit, target_s * 1e9
        self._changed = threading.Condition()
        self._allowed = float(limit)
        self._reserved = 0
        self._transit = Transit(clock=clock)

    @property
    def time(self) -> ExpectedTime:
        """Time from ``enter`` to ``leave``."""
        return self._transit.time

    @property
    def limit(self) -> int:
        """Places at present; ``UNLIMITED`` if there is no limit."""
        return int(self._allowed)

    @property
    def places_in_use(self) -> int:
        """Places that are reserved or hold an item."""
        return self._reserved + len(self._transit)

    @property
    def has_room(self) -> bool:
        """Whether ``reserve`` would not wait."""
        return not self._limit or self.places_in_use < self.limit

    def reserve(self, timeout_s: float | None = None) -> None:
        """Reserve a place for the next item; ``enter`` or ``cancel`` follows.

        Args:
            timeout_s: Longest wait in seconds; None waits without a limit.

        Raises:
            TimeoutError: No place became free in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.has_room, timeout_s):
                raise TimeoutError
            self._reserved += 1

    def cancel(self) -> None:
        """Give a reserved place back."""
        with self._changed:
            self._reserved -= 1
            self._changed.notify()

    def enter(self, key: Hashable) -> None:
        """Use a reserved place for the item ``key``."""
        with self._changed:
            self._reserved -= 1
            self._transit.enter((key,))

    def leave(self, keys: Iterable[Hashable]) -> None:
        """Free the places of these items; items that have left already are ignored."""
        with self._changed:
            self._transit.leave(keys)
            if self._limit:
                step = -_STEP if self.time.ns() > self._target_ns else _STEP
                self._allowed = min(float(self._limit), max(1.0, self._allowed + step))
            self._changed.notify_all()

    def lift(self) -> None:
        """Remove the limit: every ``reserve`` succeeds at once. For the end, when items in a stage that hangs do not leave."""
        with self._changed:
            self._limit, self._allowed = UNLIMITED, float(UNLIMITED)
            self._changed.notify_all()
