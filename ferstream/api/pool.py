"""Loaded networks that calls share: a value is used by one call at a time, and is kept for the next one. Any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """Something loaded that can be freed."""

    def close(self) -> None:
        """Free it."""
        ...


K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Closable)


class Pool(Generic[K, T]):
    """Loaded values by the key from which they were loaded."""

    def __init__(self, *, make: Callable[[K], T], most_in_use: int, keep: int) -> None:
        """Start empty.

        Args:
            make: Loads a value for a key.
            most_in_use: Most values of one key that are in use at a time; a further call waits for one of them.
            keep: Most values, of all keys together, that are kept for later calls; the one that was not used for longest is freed first.
        """
        self._make, self._most_in_use, self._keep = make, most_in_use, keep
        self._changed = threading.Condition()
        self._in_use: dict[K, int] = {}
        self._idle: list[tuple[K, T]] = []
        self._waiting = 0

    @property
    def idle(self) -> int:
        """Number of values that are kept for later calls."""
        with self._changed:
            return len(self._idle)

    @property
    def waiting(self) -> int:
        """Number of threads that wait for a value."""
        return self._waiting

    @contextmanager
    def borrowed(self, key: K) -> Iterator[T]:
        """Lend a value inside the context. A value whose use raised an error is freed, and not lent again.

        Raises:
            FerstreamError: The value cannot be loaded.
        """
        value = self.take(key)
        try:
            yield value
        except BaseException:
            self.discard(key, value)
            raise
        self.give(key, value)

    def take(self, key: K) -> T:
        """Return a value that no call uses, or load one; wait while as many as allowed are in use.

        Raises:
            FerstreamError: The value cannot be loaded.
        """
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._in_use.get(key, 0) < self._most_in_use)
            finally:
                self._waiting -= 1
            self._in_use[key] = self._in_use.get(key, 0) + 1
            found = next((entry for entry in reversed(self._idle) if entry[0] == key), None)
            if found is not None:
                self._idle.remove(found)
                return found[1]
        try:
            return self._make(key)
        except BaseException:
            self._leave(key)
            raise

    def give(self, key: K, value: T) -> None:
        """Take back a value for later calls."""
        with self._changed:
            self._idle.append((key, value))
            surplus = self._idle[: max(0, len(self._idle) - self._keep)]
            del self._idle[: len(surplus)]
        self._leave(key)
        for _, unused in surplus:
            unused.close()

    def discard(self, key: K, value: T) -> None:
        """Take back a value, and free it."""
        self._leave(key)
        value.close()

    def clear(self) -> None:
        """Free the values that no call uses."""
        with self._changed:
            unused, self._idle = self._idle, []
        for _, value in unused:
            value.close()

    def _leave(self, key: K) -> None:
        with self._changed:
            self._in_use[key] -= 1
            if not self._in_use[key]:
                del self._in_use[key]
            self._changed.notify_all()
