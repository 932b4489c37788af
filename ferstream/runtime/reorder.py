"""Restores the order of each lane after parallel workers.

``Lanes.take`` numbers the items of each lane, and workers finish in any order. ``Reorder`` emits the results
in the order of the numbers, and holds results of a lane that come before an earlier one of it. Workers call it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reorder(Generic[T]):
    """Calls ``emit`` in the order of numbers per key, one call at a time. Each number must be put or skipped exactly once."""

    def __init__(self, emit: Callable[[T], None]) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._abandoned = False
        self._next: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, dict[int, tuple[T] | None]] = defaultdict(dict)

    def put(self, key: str, number: int, item: T) -> None:
        """Emit ``item`` as soon as all lower numbers of ``key`` were emitted or skipped."""
        self._finish(key, number, (item,))

    def skip(self, key: str, number: int) -> None:
        """Record that ``number`` has no result."""
        self._finish(key, number, None)

    def abandon(self) -> list[T]:
        """Remove and return the held results, so that the caller can count them; later results are emitted at once, in any order."""
        with self._lock:
            self._abandoned = True
            rest = [boxed[0] for waiting in self._waiting.values() for boxed in waiting.values() if boxed is not None]
            self._waiting.clear()
            return rest

    def _finish(self, key: str, number: int, boxed: tuple[T] | None) -> None:
        with self._lock:
            if self._abandoned:
                if boxed is not None:
                    self._emit(boxed[0])
                return
            waiting = self._waiting[key]
            waiting[number] = boxed
            while self._next[key] in waiting:
                ready = waiting.pop(self._next[key])
                self._next[key] += 1
                if ready is not None:
                    self._emit(ready[0])
