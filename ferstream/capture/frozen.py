"""Finds cameras that repeat the same picture.

The noise of a sensor makes any two pictures differ somewhere, however still the scene is. A picture that stays
identical for long comes from a hung encoder. Only 32 rows are compared, once a second, so the cost is negligible.
"""

from __future__ import annotations

from ferstream.domain.frame import Frame

_COMPARE_EVERY_NS = 1_000_000_000
_ROWS = 32


class FrozenPicture:
    """Compares the pictures of one connection; used by its reading thread.

    Args:
        after_s: Identical pictures for so many seconds count as frozen.
    """

    def __init__(self, *, after_s: float) -> None:
        self.after_s = after_s
        self._after_ns = round(after_s * 1e9)
        self._every_ns = min(_COMPARE_EVERY_NS, self._after_ns)
        self._rows = b""
        self._compared_ns: int | None = None
        self._same_since_ns = 0

    def is_frozen(self, frame: Frame) -> bool:
        """Return True when the picture has not changed for ``after_s`` seconds."""
        now_ns = frame.info.captured_ns
        if self._compared_ns is not None and now_ns - self._compared_ns < self._every_ns:
            return False
        self._compared_ns = now_ns
        plane = frame.luma.plane
        rows = plane[:: max(1, plane.shape[0] // _ROWS)].tobytes()
        if rows != self._rows:
            self._rows, self._same_since_ns = rows, now_ns
        return now_ns - self._same_since_ns >= self._after_ns
