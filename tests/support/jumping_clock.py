"""``ferstream run`` on a machine whose wall clock jumps an hour forth and back every half second of real time."""

from __future__ import annotations

import time

from ferstream.__main__ import main
from ferstream.runtime.clock import SystemClock

HOUR_NS = 3600 * 10**9


def jumping_utc_ns(self: SystemClock) -> int:
    """UTC of a clock that somebody keeps setting."""
    return time.time_ns() + (HOUR_NS if time.monotonic_ns() // 500_000_000 % 2 else -HOUR_NS)


if __name__ == "__main__":
    SystemClock.utc_ns = jumping_utc_ns  # type: ignore[method-assign]
    main()
