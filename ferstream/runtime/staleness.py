"""Says which live frames come too late: those that would be older than the staleness budget when they are published.

The age that a frame may have at a stage is the budget less the time that the rest of the way takes. That time is
measured, so that on a slow machine work is not spent on frames that would be dropped later.
"""

from __future__ import annotations

import threading

from ferstream.runtime.clock import Clock

_GAIN = 8
"""The mean moves by 1/8 of the difference with each observation, as TCP's estimate of the round-trip time does (RFC 6298)."""
LARGEST_SHARE = 0.9
"""Largest share of the budget that is kept for the rest of the way; on the slowest machine some frames are still tried."""


class ExpectedTime:
    """A running estimate of a time: mean and mean deviation of the last observations. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mean_ns = self._deviation_ns = 0.0

    def ns(self, deviations: float = 0.0) -> int:
        """Return the mean and so many mean deviations, in nanoseconds; 0 before the first observation."""
        return int(self._mean_ns + deviations * self._deviation_ns)

    def observe(self, time_ns: int) -> None:
        """Take an observation in nanoseconds into account."""
        with self._lock:
            if not self._mean_ns:
                self._mean_ns, self._deviation_ns = time_ns, time_ns / 4
                return
            error_ns = time_ns - self._mean_ns
            self._mean_ns += error_ns / _GAIN
            self._deviation_ns += (abs(error_ns) - self._deviation_ns) / _GAIN

    def relax(self) -> None:
        """Lower the estimate by 1/8, so that it is tried again when nothing comes through any more."""
        with self._lock:
            self._mean_ns -= self._mean_ns / _GAIN
            self._deviation_ns -= self._deviation_ns / _GAIN


class StalenessLimit:
    """The age limit of live frames at one point of the pipeline.

    Args:
        budget_s: Age in seconds above which a live frame is not published.
        rest: Time from here to publishing.
        deviations: Mean deviations that are added to the mean of ``rest``.
        clock: The clock of the frames' capture times.
    """

    def __init__(self, *, budget_s: float, rest: ExpectedTime, deviations: float, clock: Clock) -> None:
        self._budget_ns = int(budget_s * 1e9)
        self._rest, self._deviations, self._clock = rest, deviations, clock

    def is_late(self, captured_ns: int) -> bool:
        """Return whether a live frame that was captured at this monotonic time would be published too late."""
        rest_ns = min(self._rest.ns(self._deviations), LARGEST_SHARE * self._budget_ns)
        return self._clock.monotonic_ns() - captured_ns + rest_ns > self._budget_ns

    def relax(self) -> None:
        """Allow a little more; for a place where every frame could be dropped and nothing be measured any more."""
        self._rest.relax()
