"""The tracking stage: one thread, one tracker per connected camera.

Called by the tracking thread only. A tracker lives from a source's first frame to its end, so a
camera that reconnects starts with fresh tracks and fresh random ids.
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
    """Gives the faces of each frame their tracks."""

    def __init__(self, *, new_tracker: Callable[[str], Tracker], observer: Observer) -> None:
        self._new_tracker, self._observer = new_tracker, observer
        self._trackers: dict[str, Tracker] = {}

    def __call__(self, item: DetectedFrame | EndOfStream) -> tuple[TrackedFrame | EndOfStream, ...]:
        """Track one frame, or end the tracks of a source that ended."""
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
