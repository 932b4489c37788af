"""The tracking stage: one thread, with one tracker per connected camera.

A tracker is used from the first frame of a connection to its end, so a camera that reconnects starts with new
tracks and new random ids. Called by the tracking thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream
from ferstream.domain.track import TrackedFrame
from ferstream.runtime.observer import Observer
from ferstream.tracking.tracker import Tracker

NAME = "tracking"


class TrackingHandler:
    """Adds tracks to the faces of each frame."""

    def __init__(self, *, new_tracker: Callable[[str], Tracker], observer: Observer) -> None:
        """Start without trackers.

        Args:
            new_tracker: Makes the tracker of a camera, given by its name.
            observer: Receives the counts.
        """
        self._new_tracker, self._observer = new_tracker, observer
        self._trackers: dict[str, Tracker] = {}

    def __call__(self, item: DetectedFrame | EndOfStream) -> tuple[TrackedFrame | EndOfStream, ...]:
        """Track the faces of one frame, or end the tracks of a source that ended."""
        if isinstance(item, EndOfStream):
            return self._end(item)
        camera = item.info.camera
        tracker = self._trackers.get(camera)
        if tracker is None:
            tracker = self._trackers[camera] = self._new_tracker(camera)
        tracked = tracker.update(item)
        self._observer.frame(camera, NAME)
        return (tracked,)

    def _end(self, item: EndOfStream) -> tuple[TrackedFrame | EndOfStream, ...]:
        tracker = self._trackers.pop(item.camera, None)
        last = tracker.finish() if tracker is not None else None
        return (item,) if last is None else (replace(last, end_of_stream=True), item)
