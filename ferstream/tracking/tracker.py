"""The tracker Protocol."""

from __future__ import annotations

from typing import Protocol

from ferstream.domain.face import DetectedFrame
from ferstream.domain.track import TrackedFrame


class Tracker(Protocol):
    """Tracks the faces of one connection of a camera; used by one thread. Time is media time."""

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        """Return the faces of the next frame with their tracks, and the tracks that ended at it."""
        ...

    def finish(self) -> TrackedFrame | None:
        """End all tracks, at the end of the source; return them in a frame without faces, or None if there were none."""
        ...
