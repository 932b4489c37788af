"""The detection stage: several worker threads with one detector each; the order of each camera's frames is kept.

A live frame that would be published too late is dropped when it is taken, before any work. The worker that finds the
faces also cuts them from the full-size picture, so that the large planes are freed early and only 48x48 crops
are passed on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream, Frame
from ferstream.runtime.channel import Lanes
from ferstream.runtime.in_flight import InFlight
from ferstream.runtime.observer import Observer
from ferstream.runtime.reorder import Reorder
from ferstream.runtime.staleness import StalenessLimit

NAME = "detection"

NumberedFrame = tuple[str, int, Frame | EndOfStream]
"""What ``Lanes.take`` returns: key of the lane (the camera), number of the item in that lane, the item."""


class DetectionHandler:
    """The work of one detection thread: finds the faces of frames."""

    def __init__(self, *, find: Callable[[Frame], DetectedFrame], observer: Observer) -> None:
        """Keep the parts.

        Args:
            find: Finds the faces of a frame and cuts their crops; called by one thread.
            observer: Receives the counts.
        """
        self._find, self._observer = find, observer

    def __call__(self, numbered: NumberedFrame) -> DetectedFrame | EndOfStream:
        """Return the faces of one frame. An ``EndOfStream`` is returned as it is."""
        item = numbered[2]
        if isinstance(item, EndOfStream):
            return item
        detected = self._find(item)
        self._observer.frame(item.info.camera, NAME)
        self._observer.faces(item.info.camera, "found", len(detected.faces))
        return detected


class InOrder:
    """Input and output of the stage: passes results on in the order of each camera's frames, whichever worker is first.

    A worker takes a frame only when there is room for it in flight. The place stays with a detected frame; without a
    result it is free again here.
    """

    def __init__(
        self,
        *,
        emit: Callable[[DetectedFrame | EndOfStream], None],
        lanes: Lanes[Frame | EndOfStream],
        in_flight: InFlight,
        limit: StalenessLimit,
        observer: Observer,
    ) -> None:
        """Keep the parts.

        Args:
            emit: Takes the results.
            lanes: The frames of all cameras.
            in_flight: The frames between this stage and the end of inference.
            limit: The age limit of live frames.
            observer: Receives the frames that are dropped.
        """
        self._reorder: Reorder[DetectedFrame | EndOfStream] = Reorder(emit)
        self._lanes, self._in_flight, self._limit, self._observer = lanes, in_flight, limit, observer

    def take(self, timeout_s: float) -> NumberedFrame:
        """Wait for room in flight, then for a frame: the freshest one of the camera that is next.

        Raises:
            TimeoutError: There was none in ``timeout_s`` seconds.
            ClosedError: The lanes are closed and empty.
        """
        deadline = time.monotonic() + timeout_s
        self._in_flight.reserve(timeout_s)
        try:
            numbered = self._take_fresh(deadline)
        except BaseException:
            self._in_flight.cancel()
            raise
        if isinstance(numbered[2], EndOfStream):
            self._in_flight.cancel()
        else:
            self._in_flight.enter(numbered[2].info.key)
        return numbered

    def _take_fresh(self, deadline: float) -> NumberedFrame:
        """Take the next item; drop frames that come too late, without a charge for their cameras."""
        while True:
            key, number, item = self._lanes.take(max(0.0, deadline - time.monotonic()))
            if isinstance(item, EndOfStream) or not item.info.live or not self._limit.is_late(item.info.captured_ns):
                return key, number, item
            self._lanes.refund(key)
            self._observer.frame_dropped(key, NAME, "stale")
            self._reorder.skip(key, number)

    def put(self, numbered: NumberedFrame, result: DetectedFrame | EndOfStream) -> None:
        """Pass on the result of one item."""
        self._reorder.put(numbered[0], numbered[1], result)

    def skip(self, numbered: NumberedFrame) -> None:
        """Skip an item whose worker failed."""
        key, number, item = numbered
        if isinstance(item, Frame):
            self._in_flight.leave((item.info.key,))
        self._reorder.skip(key, number)

    def abandon(self) -> list[DetectedFrame | EndOfStream]:
        """Remove and return the results that are held for a slower worker, so that the caller can count them."""
        return self._reorder.abandon()
