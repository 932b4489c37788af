"""The two clocks, behind one seam so that tests own time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time for durations, UTC for payloads only."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never goes back."""
        ...

    def utc_ns(self) -> int:
        """UTC nanoseconds since the epoch; may jump."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never goes back."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """UTC nanoseconds since the epoch; may jump."""
        return time.time_ns()
