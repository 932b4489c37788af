"""Growing, jittered waits between attempts; a stop interrupts them.

"Full jitter" (a uniform draw below the growing cap) keeps many clients of one server out of
lockstep: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. A floor
keeps the shortest draw from becoming a busy loop.
"""

from __future__ import annotations

import random
import threading


class Backoff:
    """Waits of one client, from ``floor_s`` up to ``cap_s``."""

    def __init__(
        self,
        *,
        floor_s: float = 1.0,
        cap_s: float = 60.0,
        factor: float = 2.0,
        healthy_after_s: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        if not 0 < floor_s <= cap_s or factor < 1:
            raise ValueError(f"want 0 < floor_s <= cap_s and factor >= 1, got {floor_s}, {cap_s}, {factor}")
        self._floor_s, self._cap_s, self._factor = floor_s, cap_s, factor
        self._healthy_after_s = healthy_after_s
        self._rng = rng or random.Random()
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last reset."""
        return self._failures

    def next_s(self) -> float:
        """Seconds to wait before the next attempt; each call counts as one more failure."""
        ceiling = min(self._cap_s, self._floor_s * self._factor ** min(self._failures + 1, 64))
        self._failures += 1
        return self._rng.uniform(self._floor_s, max(self._floor_s, ceiling))

    def succeeded(self, healthy_s: float) -> None:
        """Start small again if the attempt stayed healthy for long enough."""
        if healthy_s >= self._healthy_after_s:
            self._failures = 0

    def wait(self, stop: threading.Event) -> bool:
        """Wait the next delay; True if ``stop`` ended it."""
        return stop.wait(self.next_s())
