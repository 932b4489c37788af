"""The summary of each camera: counts by label over an interval, and how many faces are present.

Which of these numbers are published is decided by ``PrivacyRules``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ferstream.domain.event import FaceEvent, Summary, TrackChange, TrackEvent
from ferstream.domain.track import TrackState
from ferstream.events.privacy import PrivacyRules
from ferstream.runtime.clock import Clock


@dataclass(slots=True)
class _Interval:
    """What one camera showed since its last summary.

    Attributes:
        since_ns: Monotonic start of the interval.
        counts: Observations by label.
        present: Tracks that have not ended.
        seen: Tracks with an observation in the interval.
    """

    since_ns: int
    counts: Counter[str] = field(default_factory=Counter)
    present: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)


class Summaries:
    """Counts the faces of every camera and makes a summary per interval; one thread."""

    def __init__(self, *, interval_s: float, privacy: PrivacyRules, clock: Clock) -> None:
        """Start without cameras.

        Args:
            interval_s: Seconds of an interval; 0 makes no summaries.
            privacy: Decides which numbers of an interval are published.
            clock: Monotonic time ends the intervals, UTC stands in the summaries.
        """
        self._interval_ns, self._privacy, self._clock = int(interval_s * 1e9), privacy, clock
        self._intervals: dict[str, _Interval] = {}

    def start(self, camera: str) -> None:
        """Begin the camera's first interval, if it has none."""
        if camera not in self._intervals:
            self._intervals[camera] = _Interval(self._clock.monotonic_ns())

    def add_face(self, face: FaceEvent) -> None:
        """Count one observation of a camera that was started."""
        interval = self._intervals[face.info.camera]
        if face.track.state is not TrackState.LEFT:  # which repeats an observation that was counted
            interval.seen.add(face.track.id)
            interval.counts[face.emotion.verdict.label] += 1
            interval.present.add(face.track.id)

    def add_change(self, change: TrackEvent) -> None:
        """Note that a track ended."""
        if change.change is TrackChange.LEFT:
            self._intervals[change.info.camera].present.discard(change.track.id)

    def due(self) -> Iterator[Summary]:
        """Return the summaries of the cameras whose interval is over, and start new intervals."""
        if not self._interval_ns:
            return
        now_ns = self._clock.monotonic_ns()
        for camera, interval in self._intervals.items():
            if now_ns - interval.since_ns >= self._interval_ns:
                yield self._summary(camera, interval, now_ns)

    def finish(self, camera: str) -> Summary | None:
        """End the camera: return its last summary, None if it never showed a frame or summaries are off."""
        interval = self._intervals.pop(camera, None)
        if interval is None or not self._interval_ns:
            return None
        return self._summary(camera, interval, self._clock.monotonic_ns())

    def _summary(self, camera: str, interval: _Interval, now_ns: int) -> Summary:
        interval_s = (now_ns - interval.since_ns) / 1e9
        sums = self._privacy.sums(interval.counts, seen=interval.seen, present=interval.present)
        interval.since_ns = now_ns
        interval.counts.clear()
        interval.seen.clear()
        return Summary(camera, self._clock.utc_ns(), interval_s, sums.counts, sums.faces_now)
