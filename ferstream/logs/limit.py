"""Suppresses repeated log lines: a camera that fails ten times a second must not hide all other lines."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from ferstream.logs.render import FIELDS, REPEATED
from ferstream.runtime.clock import Clock, SystemClock

_Key = tuple[str, str, str, int]


@dataclass(slots=True)
class _Window:
    began_ns: int
    passed: int = 0
    suppressed: int = 0


class RepeatLimit(logging.Filter):
    """Lets a few lines of one message and camera pass per interval. The next line that passes has the number suppressed.

    Args:
        interval_s: Length of an interval, in seconds.
        burst: Number of lines that pass in each interval.
        max_keys: Number of different lines that are remembered; above it all are forgotten, their numbers too.
        clock: Source of the time.
    """

    def __init__(self, *, interval_s: float = 10.0, burst: int = 5, max_keys: int = 4096, clock: Clock | None = None) -> None:
        super().__init__()
        self._interval_ns = int(interval_s * 1e9)
        self._burst, self._max_keys = burst, max_keys
        self._clock = clock or SystemClock()
        self._windows: dict[_Key, _Window] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line passes. Any thread."""
        camera = getattr(record, FIELDS, {}).get("camera", getattr(record, "camera", ""))
        key = (record.name, str(record.msg), str(camera), record.levelno)
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            window = self._windows.get(key)
            if window is None or now_ns - window.began_ns >= self._interval_ns:
                suppressed = window.suppressed if window else 0
                window = self._begin(key, now_ns)
                if suppressed:
                    setattr(record, REPEATED, suppressed)
            return self._count(window)

    def _begin(self, key: _Key, now_ns: int) -> _Window:
        if key not in self._windows and len(self._windows) >= self._max_keys:
            self._windows.clear()
        self._windows[key] = window = _Window(now_ns)
        return window

    def _count(self, window: _Window) -> bool:
        if window.passed < self._burst:
            window.passed += 1
            return True
        window.suppressed += 1
        return False
