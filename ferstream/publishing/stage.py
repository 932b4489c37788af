"""The publishing stage: one thread thins the face events, makes the summaries and hands all events to the sinks.

No sink waits for a network here: those that need one have an outbox and a thread of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from ferstream.domain.event import CameraState, Event, FaceEvent, LabelledFrame
from ferstream.domain.frame import EndOfStream
from ferstream.publishing.summaries import Summaries
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer

NAME = "publishing"

Item = LabelledFrame | EndOfStream | CameraState


class PublishingHandler:
    """Publishes what passes the rate limit, and a summary per camera and interval; the publishing thread only."""

    def __init__(
        self,
        *,
        publish: Callable[[Event], None],
        allow: Callable[[FaceEvent], bool],
        summaries: Summaries,
        per_face: bool,
        observer: Observer,
        clock: Clock,
    ) -> None:
        """Start without cameras.

        Args:
            publish: Hands an event to the sinks.
            allow: The rate limit: whether this face event is published.
            summaries: Counts the faces.
            per_face: False publishes summaries and states only (``privacy.aggregate_only``).
            observer: Counts published frames and events.
            clock: Monotonic time, for the latency.
        """
        self._publish, self._allow, self._summaries, self._per_face = publish, allow, summaries, per_face
        self._observer, self._clock = observer, clock

    def __call__(self, item: Item) -> None:
        """Publish one frame's events, a camera's state, or a camera's last summary."""
        self.tick()
        if isinstance(item, CameraState):
            self._publish(item)
        elif isinstance(item, EndOfStream):
            self._end(item)
        else:
            self._publish_frame(item)

    def tick(self) -> None:
        """Publish the summaries that are due; also called while nothing arrives."""
        for summary in self._summaries.due():
            self._publish(summary)

    def _publish_frame(self, frame: LabelledFrame) -> None:
        info = frame.info
        self._summaries.start(info.camera)
        for face in frame.faces:
            self._summaries.add_face(face)
            if self._per_face and self._allow(face):
                self._observer.event(info.camera, face.emotion.verdict.label)
                self._publish(face)
        for change in frame.changes:
            self._summaries.add_change(change)
            if self._per_face:
                self._publish(change)
        if not frame.end_of_stream:
            self._observer.frame(info.camera, NAME)
            self._observer.latency(info.camera, (self._clock.monotonic_ns() - info.captured_ns) / 1e9)

    def _end(self, item: EndOfStream) -> None:
        summary = self._summaries.finish(item.camera) if item.final else None
        if summary is not None:
            self._publish(summary)
