"""``ferstream run`` with a wall clock that jumps by two hours every half second."""

from __future__ import annotations

import time

from ferstream.__main__ import main
from ferstream.runtime.clock import SystemClock

HOUR_NS = 3600 * 10**9


def jumping_utc_ns(self: SystemClock) -> int:
    """UTC, an hour ahead and an hour behind in turn."""
    return time.time_ns() + (HOUR_NS if time.monotonic_ns() // 500_000_000 % 2 else -HOUR_NS)


if __name__ == "__main__":
    SystemClock.utc_ns = jumping_utc_ns  # type: ignore[method-assign]
    main()
