"""Joining threads within one deadline, and the first fatal error of the process.

Order of a shutdown: sources stop first, and each stage closes the input of the next one when it ends. Sinks are
flushed after the last stage. Telemetry stops last, so that a scrape still sees the final counters.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Protocol


class Joinable(Protocol):
    """A stage, camera or thread that can be waited for."""

    @property
    def name(self) -> str:
        """Name for the message when it did not end in time."""
        ...

    def join(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` seconds; return whether it ended."""
        ...


def join_all(parts: Iterable[Joinable], *, timeout_s: float) -> list[str]:
    """Wait up to ``timeout_s`` seconds in total for all parts; return the names of those that did not end."""
    deadline = time.monotonic() + timeout_s
    return [part.name for part in parts if not part.join(max(0.0, deadline - time.monotonic()))]


class Fatal:
    """The first fatal error of the process; any thread reports, the main thread checks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._first: tuple[str, BaseException] | None = None

    def report(self, where: str, error: BaseException) -> None:
        """Keep the error if it is the first one.

        Args:
            where: Name of the stage or component that failed.
            error: What it raised.
        """
        with self._lock:
            if self._first is None:
                self._first = (where, error)
        self._event.set()

    @property
    def first(self) -> tuple[str, BaseException] | None:
        """Component and error of the first report; None before any."""
        return self._first

    def is_set(self) -> bool:
        """Whether an error was reported."""
        return self._event.is_set()
