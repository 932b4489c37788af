"""The two clocks of the machine behind a Protocol, so that tests can set the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time for durations, UTC for payloads and metrics."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""
        ...

    def utc_ns(self) -> int:
        """Return UTC in nanoseconds since the epoch; may jump."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """Return UTC in nanoseconds since the epoch; may jump."""
        return time.time_ns()
