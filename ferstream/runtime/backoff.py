"""Growing, randomised delays between attempts; a stop event interrupts them.

A delay is drawn uniformly between the floor and a ceiling that grows with every failure ("full jitter"),
so that many clients of one server do not retry at the same moments: M. Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015. The floor prevents busy loops.
"""

from __future__ import annotations

import random
import threading


class Backoff:
    """Delays of one client; used by one thread."""

    def __init__(
        self,
        *,
        floor_s: float = 1.0,
        cap_s: float = 60.0,
        factor: float = 2.0,
        healthy_after_s: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        """Start without failures.

        Args:
            floor_s: Shortest delay in seconds.
            cap_s: Longest delay in seconds.
            factor: Growth of the ceiling per failure.
            healthy_after_s: Seconds that an attempt must have worked for ``succeeded`` to reset the failures.
            rng: Source of the random draws; None for a new one.

        Raises:
            ValueError: Not ``0 < floor_s <= cap_s``, or ``factor`` is below 1.
        """
        if not 0 < floor_s <= cap_s or factor < 1:
            raise ValueError(f"want 0 < floor_s <= cap_s and factor >= 1, got {floor_s}, {cap_s}, {factor}")
        self._floor_s, self._cap_s, self._factor = floor_s, cap_s, factor
        self._healthy_after_s = healthy_after_s
        self._rng = rng or random.Random()
        self._failures = 0

    @property
    def failures(self) -> int:
        """Number of failures since the last reset."""
        return self._failures

    def next_s(self) -> float:
        """Return the delay in seconds before the next attempt; each call counts as one failure."""
        ceiling = min(self._cap_s, self._floor_s * self._factor ** min(self._failures + 1, 64))
        self._failures += 1
        return self._rng.uniform(self._floor_s, max(self._floor_s, ceiling))

    def reset(self) -> None:
        """Forget the failures: the attempt did its work."""
        self._failures = 0

    def succeeded(self, healthy_s: float) -> None:
        """Reset the failures if the attempt worked for at least ``healthy_after_s`` seconds."""
        if healthy_s >= self._healthy_after_s:
            self._failures = 0

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the next delay; return True if ``stop`` was set."""
        return stop.wait(self.next_s())
