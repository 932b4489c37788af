"""The publishing stage: one thread thins the face events, makes the summaries and hands all events to the sinks.

No sink waits for a network here: those that need one have an outbox and a thread of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from ferstream.domain.event import CameraState, Event, FaceEvent, LabelledFrame, Summary
from ferstream.domain.frame import EndOfStream
from ferstream.domain.ports import LiveView
from ferstream.domain.track import TrackState
from ferstream.events.privacy import PrivacyRules
from ferstream.publishing.summaries import Summaries
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer

NAME = "publishing"
LEFT_EVENTS = "left_events"
"""Counter of the face events that say that a track left, by camera."""

Item = LabelledFrame | EndOfStream | CameraState


class PublishingHandler:
    """Publishes what passes the rate limit, and a summary per camera and interval; the publishing thread only."""

    def __init__(
        self,
        *,
        publish: Callable[[Event], None],
        allow: Callable[[FaceEvent], bool],
        summaries: Summaries,
        privacy: PrivacyRules,
        observer: Observer,
        clock: Clock,
        view: LiveView | None = None,
    ) -> None:
        """Start without cameras.

        Args:
            publish: Hands an event to the sinks.
            allow: The rate limit: whether this face event is published.
            summaries: Counts the faces.
            privacy: Decides which events are published and counted.
            observer: Counts published frames and events.
            clock: Monotonic time, for the latency.
            view: Shows frames, summaries and states to people who look; None without a page.
        """
        self._publish, self._allow, self._summaries, self._privacy = publish, allow, summaries, privacy
        self._observer, self._clock, self._view = observer, clock, view

    def __call__(self, item: Item) -> None:
        """Publish one frame's events, a camera's state, or a camera's last summary."""
        self.tick()
        if isinstance(item, CameraState):
            self._publish_allowed(item)
            self._show(item)
        elif isinstance(item, EndOfStream):
            self._end(item)
        else:
            self._publish_frame(item)

    def tick(self) -> None:
        """Publish the summaries that are due; also called while nothing arrives."""
        for summary in self._summaries.due():
            self._publish_allowed(summary)
            self._show(summary)

    def _publish_frame(self, frame: LabelledFrame) -> None:
        info = frame.info
        self._summaries.start(info.camera)
        for face in frame.faces:
            self._summaries.add_face(face)
            if self._privacy.allows(face) and self._allow(face):
                self._observer.event(info.camera, face.emotion.verdict.label)
                if face.track.state is TrackState.LEFT:
                    self._observer.count(LEFT_EVENTS, info.camera)
                self._publish_allowed(face)
        for change in frame.changes:
            self._summaries.add_change(change)
            self._publish_allowed(change)
        if not frame.end_of_stream:
            self._observer.frame(info.camera, NAME)
            self._observer.latency(info.camera, (self._clock.monotonic_ns() - info.captured_ns) / 1e9)
            if self._view is not None:
                self._view.saw(info)
        self._show(frame)

    def _end(self, item: EndOfStream) -> None:
        summary = self._summaries.finish(item.camera) if item.final else None
        if summary is not None:
            self._publish_allowed(summary)
            self._show(summary)

    def _publish_allowed(self, event: Event) -> None:
        if self._privacy.allows(event):
            self._publish(event)

    def _show(self, item: LabelledFrame | Summary | CameraState) -> None:
        """Show what may be published, after it was published, so that nothing waits for those who look."""
        if self._view is not None and self._privacy.allows(item):
            self._view.show(item)
