"""Counts what ends before its time, so that the sums of the pipeline always add up."""

from __future__ import annotations

from collections.abc import Iterable

from ferstream.domain.event import LabelledFrame
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame
from ferstream.domain.track import TrackedFrame
from ferstream.runtime.observer import Observer


class LossCounter:
    """Writes lost items to the counters, whatever stage they had reached."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def lost(self, stage: str, items: Iterable[object], reason: str) -> None:
        """Count the frames and the unclassified faces in ``items``; other items (states, ends) are not frames."""
        for item in items:
            match item:
                case Frame():
                    self._observer.frame_dropped(item.info.camera, stage, reason)
                case DetectedFrame() | TrackedFrame():
                    self._tracked(stage, item, reason)
                case LabelledFrame() if not item.end_of_stream:
                    self._observer.frame_dropped(item.info.camera, stage, reason)
                case tuple():
                    self.lost(stage, (item[-1],), reason)
                case _:
                    pass

    def _tracked(self, stage: str, item: DetectedFrame | TrackedFrame, reason: str) -> None:
        end_of_stream = isinstance(item, TrackedFrame) and item.end_of_stream
        if not end_of_stream:
            self._observer.frame_dropped(item.info.camera, stage, reason)
        self._observer.faces(item.info.camera, "dropped", len(item.faces))
