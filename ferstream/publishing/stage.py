"""The publishing stage: one thread hands events to the sinks, and sums up each camera.

Called by the publishing thread only. Sinks never wait for a network here; the MQTT sink has an
outbox and a thread of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ferstream.domain.event import CameraState, Event, FaceEvent, LabelledFrame, Summary, TrackChange
from ferstream.domain.frame import EndOfStream
from ferstream.domain.ports import Sink
from ferstream.domain.track import TrackState
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer

NAME = "publishing"

Item = LabelledFrame | EndOfStream | CameraState


@dataclass(slots=True)
class _Sums:
    """What one camera showed since its last summary."""

    since_ns: int
    counts: Counter[str] = field(default_factory=Counter)
    present: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)


class PublishingHandler:
    """Sends what passes the rate limit to every sink, and a summary per camera and interval.

    Args:
        sinks: Take the events, each in turn.
        allow: The rate limit: whether this face event may leave.
        summary_interval_s: Length of a summary's interval; 0 sends none.
        per_face: False sends summaries and states only (``privacy.aggregate_only``).
        min_group_size: Without ``per_face``: an interval in which fewer different tracks were seen is
            reported as empty, so that no sum speaks of one person.
    """

    def __init__(
        self,
        *,
        sinks: Sequence[Sink],
        allow: Callable[[FaceEvent], bool],
        summary_interval_s: float,
        per_face: bool,
        min_group_size: int = 0,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._sinks, self._allow, self._observer, self._clock = tuple(sinks), allow, observer, clock
        self._interval_ns = int(summary_interval_s * 1e9)
        self._per_face, self._min_group_size = per_face, min_group_size
        self._sums: dict[str, _Sums] = {}

    def __call__(self, item: Item) -> None:
        """Publish one frame's events, a camera's state, or a camera's last summary."""
        self.tick()  # first: a sink that refuses a summary must not fail a frame that was already counted
        if isinstance(item, CameraState):
            self._send(item)
        elif isinstance(item, EndOfStream):
            self._ended(item)
        else:
            self._frame(item)

    def tick(self) -> None:
        """Send the summaries that are due; also called while nothing arrives."""
        if not self._interval_ns:
            return
        now_ns = self._clock.monotonic_ns()
        for camera, sums in self._sums.items():
            if now_ns - sums.since_ns >= self._interval_ns:
                self._summarise(camera, sums, now_ns)

    def _frame(self, frame: LabelledFrame) -> None:
        info = frame.info
        sums = self._sums.get(info.camera)
        if sums is None:
            sums = self._sums[info.camera] = _Sums(self._clock.monotonic_ns())
        for face in frame.faces:
            self._face(face, sums)
        for turn in frame.changes:
            if turn.change is TrackChange.LEFT:
                sums.present.discard(turn.track.id)
            if self._per_face:
                self._send(turn)
        if not frame.end_of_stream:
            self._observer.frame(info.camera, NAME)
            self._observer.latency(info.camera, (self._clock.monotonic_ns() - info.captured_ns) / 1e9)

    def _face(self, face: FaceEvent, sums: _Sums) -> None:
        label = face.emotion.verdict.label
        sums.seen.add(face.track.id)
        if face.track.state is not TrackState.LEFT:  # which repeats a face that was counted
            sums.counts[label] += 1
            sums.present.add(face.track.id)
        if self._per_face and self._allow(face):
            self._observer.event(face.info.camera, label)
            self._send(face)

    def _ended(self, item: EndOfStream) -> None:
        sums = self._sums.pop(item.camera, None) if item.final else None
        if sums is not None and self._interval_ns:
            self._summarise(item.camera, sums, self._clock.monotonic_ns())

    def _summarise(self, camera: str, sums: _Sums, now_ns: int) -> None:
        interval_s = (now_ns - sums.since_ns) / 1e9
        small = not self._per_face and len(sums.seen) < self._min_group_size
        counts, now = ({}, 0) if small else (dict(sums.counts), len(sums.present))
        sums.since_ns = now_ns
        sums.counts.clear()
        sums.seen = set(sums.present)
        self._send(Summary(camera, self._clock.utc_ns(), interval_s, counts, now))

    def _send(self, event: Event) -> None:
        for sink in self._sinks:
            sink.put(event)
