"""A clock that tests set."""

from __future__ import annotations

import threading

START_UTC_NS = 1_764_000_000_000_000_000


class FakeClock:
    """Implements ``Clock``; both clocks move only by ``advance``. Any thread."""

    def __init__(self, *, monotonic_ns: int = 1_000_000_000_000, utc_ns: int = START_UTC_NS) -> None:
        self._lock = threading.Lock()
        self._monotonic_ns, self._utc_ns = monotonic_ns, utc_ns

    def monotonic_ns(self) -> int:
        """Return the monotonic time."""
        with self._lock:
            return self._monotonic_ns

    def utc_ns(self) -> int:
        """Return UTC in nanoseconds since the epoch."""
        with self._lock:
            return self._utc_ns

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        with self._lock:
            self._monotonic_ns += round(seconds * 1e9)
            self._utc_ns += round(seconds * 1e9)
