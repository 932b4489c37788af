"""The detection stage: several workers, one detector each; the order of each camera is kept.

A live frame that waited longer than the staleness budget is dropped unseen: what it shows is
over. Faces are cut from the full-size picture here, by the worker that found them, so that the
large planes die early and only 48x48 crops travel on.
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

Ticket = tuple[str, int, Frame | EndOfStream]
"""A lane's key, the item's number in that lane, the item."""


class DetectionHandler:
    """The work of one detection thread: frame in, faces with crops out; None when it was dropped."""

    def __init__(
        self,
        *,
        find: Callable[[Frame], DetectedFrame],
        staleness_s: float,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._find, self._observer, self._clock = find, observer, clock
        self._staleness_ns = int(staleness_s * 1e9)

    def __call__(self, ticket: Ticket) -> DetectedFrame | EndOfStream | None:
        """Find, judge and cut the faces of one frame."""
        item = ticket[2]
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
    """Hands results on in each lane's order, whichever worker was first."""

    def __init__(self, *, emit: Callable[[DetectedFrame | EndOfStream], None], lanes: Lanes[Frame | EndOfStream]) -> None:
        self._reorder: Reorder[DetectedFrame | EndOfStream] = Reorder(emit)
        self.take = lanes.take

    def put(self, ticket: Ticket, result: DetectedFrame | EndOfStream | None) -> None:
        """Pass on one result, or the news that there is none."""
        key, number, _ = ticket
        if result is None:
            self._reorder.skip(key, number)
        else:
            self._reorder.put(key, number, result)

    def skip(self, ticket: Ticket) -> None:
        """The worker failed on this item."""
        self._reorder.skip(ticket[0], ticket[1])

    def abandon(self) -> list[DetectedFrame | EndOfStream]:
        """Take away the results that wait for a slower worker."""
        return self._reorder.abandon()
