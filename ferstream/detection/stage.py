"""The detection stage: several worker threads with one detector each; the order of each camera's frames is kept.

A live frame that is older than the staleness budget is dropped before detection. The worker that finds the
faces also cuts them from the full-size picture, so that the large planes are freed early and only 48x48 crops
are passed on.
"""

from __future__ import annotations

from collections.abc import Callable

from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream, Frame
from ferstream.runtime.channel import Lanes
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer
from ferstream.runtime.reorder import Reorder

NAME = "detection"

NumberedFrame = tuple[str, int, Frame | EndOfStream]
"""What ``Lanes.take`` returns: key of the lane (the camera), number of the item in that lane, the item."""


class DetectionHandler:
    """The work of one detection thread: finds the faces of frames."""

    def __init__(
        self,
        *,
        find: Callable[[Frame], DetectedFrame],
        staleness_s: float,
        observer: Observer,
        clock: Clock,
    ) -> None:
        """Keep the parts.

        Args:
            find: Finds the faces of a frame and cuts their crops; called by one thread.
            staleness_s: Live frames older than this many seconds since their capture are dropped.
            observer: Receives the counts.
            clock: The clock of ``FrameInfo.captured_ns``.
        """
        self._find, self._observer, self._clock = find, observer, clock
        self._staleness_ns = int(staleness_s * 1e9)

    def __call__(self, numbered: NumberedFrame) -> DetectedFrame | EndOfStream | None:
        """Return the faces of one frame; None when the frame was dropped. An ``EndOfStream`` is returned as it is."""
        item = numbered[2]
        if isinstance(item, EndOfStream):
            return item
        info = item.info
        if info.live and self._clock.monotonic_ns() - info.captured_ns > self._staleness_ns:
            self._observer.frame_dropped(info.camera, NAME, "stale")
            return None
        detected = self._find(item)
        self._observer.frame(info.camera, NAME)
        self._observer.faces(info.camera, "found", len(detected.faces))
        return detected


class InOrder:
    """Input and output of the stage: passes results on in the order of each camera's frames, whichever worker is first."""

    def __init__(self, *, emit: Callable[[DetectedFrame | EndOfStream], None], lanes: Lanes[Frame | EndOfStream]) -> None:
        self._reorder: Reorder[DetectedFrame | EndOfStream] = Reorder(emit)
        self.take = lanes.take

    def put(self, numbered: NumberedFrame, result: DetectedFrame | EndOfStream | None) -> None:
        """Pass on the result of one item, or skip the item if the result is None."""
        key, number, _ = numbered
        if result is None:
            self._reorder.skip(key, number)
        else:
            self._reorder.put(key, number, result)

    def skip(self, numbered: NumberedFrame) -> None:
        """Skip an item whose worker failed."""
        self._reorder.skip(numbered[0], numbered[1])

    def abandon(self) -> list[DetectedFrame | EndOfStream]:
        """Remove and return the results that are held for a slower worker, so that the caller can count them."""
        return self._reorder.abandon()
