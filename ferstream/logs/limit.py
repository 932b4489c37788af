"""Holds back lines that repeat: a camera that fails ten times a second must not bury everything else."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from ferstream.logs.render import FIELDS, REPEATED
from ferstream.runtime.clock import Clock, SystemClock

_MOST_KEYS = 4096


@dataclass(slots=True)
class _Window:
    began_ns: int
    passed: int = 0
    held: int = 0


class RepeatLimit(logging.Filter):
    """Lets a few lines of one event and camera through in each interval; the next one after tells how many were held back."""

    def __init__(self, *, interval_s: float = 10.0, burst: int = 5, clock: Clock | None = None) -> None:
        super().__init__()
        self._interval_ns = int(interval_s * 1e9)
        self._burst = burst
        self._clock = clock or SystemClock()
        self._windows: dict[tuple[str, str, str, int], _Window] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line may pass; any thread."""
        camera = getattr(record, FIELDS, {}).get("camera", getattr(record, "camera", ""))
        key = (record.name, str(record.msg), str(camera), record.levelno)
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            window = self._windows.get(key)
            if window is None or now_ns - window.began_ns >= self._interval_ns:
                held = window.held if window else 0
                window = self._begin(key, now_ns)
                if held:
                    setattr(record, REPEATED, held)
            return self._count(window)

    def _begin(self, key: tuple[str, str, str, int], now_ns: int) -> _Window:
        if len(self._windows) >= _MOST_KEYS:
            self._windows.clear()
        self._windows[key] = window = _Window(now_ns)
        return window

    def _count(self, window: _Window) -> bool:
        if window.passed < self._burst:
            window.passed += 1
            return True
        window.held += 1
        return False
