"""Calls a function at intervals from a loop that has other work too."""

from __future__ import annotations

from collections.abc import Callable

from ferstream.runtime.clock import Clock


class Every:
    """Calls a function whenever an interval has passed; one thread."""

    def __init__(self, interval_s: float, call: Callable[[], object], *, clock: Clock, at_once: bool = False) -> None:
        """Start the first interval now.

        Args:
            interval_s: Seconds from one call to the earliest next one.
            call: The function.
            clock: Monotonic time.
            at_once: Whether the first call is due now, not after the first interval.
        """
        self._interval_ns, self._call, self._clock = round(interval_s * 1e9), call, clock
        self._due_ns = clock.monotonic_ns() + (0 if at_once else self._interval_ns)

    def run_if_due(self) -> None:
        """Call the function if its time has come. Intervals that were missed are not made up for."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + self._interval_ns
            self._call()
