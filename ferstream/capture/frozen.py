"""Finds cameras that go on sending the same picture.

A sensor's noise makes two pictures of it differ somewhere, however still the scene is; a picture that stays
identical for long comes from a hung encoder. Looked at once a second, on 32 rows: it costs nothing.
"""

from __future__ import annotations

from ferstream.domain.frame import Frame

_LOOK_EVERY_NS = 1_000_000_000
_ROWS = 32


class FrozenPicture:
    """Judges the pictures of one connection."""

    def __init__(self, *, after_s: float) -> None:
        """Set up; ``after_s`` seconds of identical pictures count as frozen."""
        self.after_s = after_s
        self._after_ns = round(after_s * 1e9)
        self._every_ns = min(_LOOK_EVERY_NS, self._after_ns)
        self._rows = b""
        self._looked_ns: int | None = None
        self._same_since_ns = 0

    def is_frozen(self, frame: Frame) -> bool:
        """True when the picture has been the same for too long."""
        now_ns = frame.info.captured_ns
        if self._looked_ns is not None and now_ns - self._looked_ns < self._every_ns:
            return False
        self._looked_ns = now_ns
        plane = frame.luma.plane
        rows = plane[:: max(1, plane.shape[0] // _ROWS)].tobytes()
        if rows != self._rows:
            self._rows, self._same_since_ns = rows, now_ns
        return now_ns - self._same_since_ns >= self._after_ns
