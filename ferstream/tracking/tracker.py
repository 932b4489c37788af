"""The seams of tracking: faces get ids, and classified tracks get labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ferstream.domain.event import LabelledFrame
from ferstream.domain.face import DetectedFrame
from ferstream.domain.track import TrackedFrame


class Tracker(Protocol):
    """Follows the faces of one camera; one thread; time is media time."""

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        """Give each face of the next frame its track; name the tracks that ended."""
        ...

    def finish(self) -> TrackedFrame | None:
        """End every living track (end of the source); None when there was none."""
        ...


class Labeller(Protocol):
    """Turns the probabilities of one camera's tracks into verdicts, smoothed over time."""

    def label(self, frame: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        """Label every face of the next frame.

        Args:
            frame: The faces and the tracks that ended.
            probabilities: One entry per face of ``frame``: seven floats in LABELS order, or None if not classified.
        """
        ...
