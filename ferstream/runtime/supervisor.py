"""Ends things in order, within one deadline, and keeps the first fatal error.

Stop order: sources first, because everything behind them ends by draining; a stage closes the
next one's input when it ends; sinks are flushed when the last stage has ended; telemetry stops
last, so that a scrape can still see the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Protocol


class Joinable(Protocol):
    """Anything that ends and can be waited for."""

    @property
    def name(self) -> str:
        """For the message when it outlives the deadline."""
        ...

    def join(self, timeout_s: float) -> bool:
        """Wait; True if it ended."""
        ...


def join_all(parts: Iterable[Joinable], *, timeout_s: float) -> list[str]:
    """Spend one total deadline over all joins; the names of those that outlived it."""
    deadline = time.monotonic() + timeout_s
    return [part.name for part in parts if not part.join(max(0.0, deadline - time.monotonic()))]


class Fatal:
    """The first error that ends the process; any thread reports, the main thread waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._first: tuple[str, BaseException] | None = None

    def report(self, where: str, error: BaseException) -> None:
        """Remember the first error and wake the waiter."""
        with self._lock:
            if self._first is None:
                self._first = (where, error)
        self._event.set()

    @property
    def first(self) -> tuple[str, BaseException] | None:
        """Where it happened and what it was; None while all is well."""
        return self._first

    def is_set(self) -> bool:
        """Whether an error was reported."""
        return self._event.is_set()
