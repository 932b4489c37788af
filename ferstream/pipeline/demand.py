"""How many frames per second a camera asks to be analysed: those it delivers per second of its own media time.

A decoder that gets too little CPU time falls behind its stream: it delivers fewer frames per second of the clock than
the camera sends, but as many per second of media time. The capture thread of the camera calls ``add``; any thread reads.
"""

from __future__ import annotations

import threading
from collections import deque

from ferstream.domain.frame import FrameInfo

DEFAULT_FPS = 10.0
"""Demand of a camera that has not delivered enough frames to measure it."""
WINDOW_NS = 5_000_000_000
"""Length of the measurement in nanoseconds of the clock; longer for a slow decoder."""
FEWEST_STEPS = 8
"""Steps from frame to frame in a measurement; half as many for the first one."""
JUMP_NS = 1_500_000_000
"""A longer step of media time is left out: a new origin, a new connection, lost frames, or less than one frame in that time."""
BEHIND_NS = 500_000_000
"""A decoder is behind when it lost this time to its stream within the last ``WINDOW_NS``."""


class Demand:
    """Measures the frame rate of one camera over the last seconds, and whether its decoder keeps up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: deque[tuple[int, int]] = deque()
        self._media_ns = self._clock_ns = 0
        self._last: FrameInfo | None = None

    @property
    def fps(self) -> float:
        """Frames per second that the camera asks for."""
        with self._lock:
            return DEFAULT_FPS if len(self._steps) < FEWEST_STEPS / 2 else len(self._steps) / self._media_ns * 1e9

    @property
    def is_behind(self) -> bool:
        """Whether the decoder falls behind: media time ran slower than the clock."""
        with self._lock:
            return self._clock_ns - self._media_ns > BEHIND_NS

    def add(self, info: FrameInfo) -> None:
        """Count a captured frame."""
        with self._lock:
            last, self._last = self._last, info
            if last is None or not 0 < info.media_time_ns - last.media_time_ns <= JUMP_NS:
                return
            self._append(info.media_time_ns - last.media_time_ns, info.captured_ns - last.captured_ns)
            while self._clock_ns > WINDOW_NS and len(self._steps) > FEWEST_STEPS:
                media_ns, clock_ns = self._steps.popleft()
                self._media_ns -= media_ns
                self._clock_ns -= clock_ns

    def _append(self, media_ns: int, clock_ns: int) -> None:
        self._steps.append((media_ns, clock_ns))
        self._media_ns += media_ns
        self._clock_ns += clock_ns
