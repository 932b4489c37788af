"""Puts the results of parallel workers back into each lane's order.

``Lanes.take`` numbers the items of a lane; workers finish in any order; ``Reorder`` passes
results on by number. While one worker is slow it holds what the others finished since.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reorder(Generic[T]):
    """Calls ``emit`` in order per key, one call at a time; every number must be put or skipped exactly once."""

    def __init__(self, emit: Callable[[T], None]) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._abandoned = False
        self._next: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, dict[int, tuple[T] | None]] = defaultdict(dict)

    def put(self, key: str, number: int, item: T) -> None:
        """Pass on ``item`` as soon as all before it have gone."""
        self._settle(key, number, (item,))

    def skip(self, key: str, number: int) -> None:
        """There will be no result for ``number``."""
        self._settle(key, number, None)

    def abandon(self) -> list[T]:
        """Take away what waits for slower workers, to be counted by the caller; the slower ones are passed on as they come."""
        with self._lock:
            self._abandoned = True
            rest = [boxed[0] for waiting in self._waiting.values() for boxed in waiting.values() if boxed is not None]
            self._waiting.clear()
            return rest

    def _settle(self, key: str, number: int, boxed: tuple[T] | None) -> None:
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
