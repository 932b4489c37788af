"""All counters and histograms of the process.

Any thread counts; telemetry reads a ``Snapshot`` at each scrape. One lock guards the dictionaries
(about 0.3 us a call). A snapshot is taken under that lock, so that its numbers belong to one moment and
*captured = analysed + dropped + in flight* holds in each.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from ferstream.runtime.clock import Clock, SystemClock

DURATION_BUCKETS_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds of the stage histograms; a frame takes 1 to 20 ms of work in a stage."""
LATENCY_BUCKETS_S = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds in seconds of the time from capture to publishing: the goals are 30 and 100 ms, the staleness budget is 500 ms."""
BATCH_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Upper bounds of the number of faces in a batch."""


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """A histogram at one moment.

    Attributes:
        bounds: Upper bounds of the buckets, inclusive, ascending.
        counts: Observations per bucket, not cumulative; one more than ``bounds``, the last is above all of them.
        sum: Sum of the observations.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """Number of observations."""
        return sum(self.counts)

    def quantile(self, q: float) -> float:
        """Estimate the ``q`` quantile (0..1) by linear interpolation in its bucket; 0 without observations."""
        target, seen, lower = q * self.count, 0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            if count and seen + count >= target:
                return lower + (bound - lower) * max(0.0, target - seen) / count
            seen += count
            lower = bound
        return lower if self.count else 0.0


class _Histogram:
    """A histogram that is counted; the caller holds the lock."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def value(self) -> HistogramValue:
        return HistogramValue(self.bounds, tuple(self.counts), self.sum)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counters at one moment; ``Observer`` says what each one means.

    Attributes:
        frames: Frames that left a stage, by (camera, stage).
        dropped: Frames that ended early, by (camera, stage, reason).
        faces: Faces by (camera, outcome).
        durations: Seconds of work per item, by stage.
        latencies: Seconds from capture to publishing, by camera.
        batches: Faces per batch.
        events: Published face events by (camera, label).
        beats: Monotonic nanoseconds of each stage thread's last heartbeat.
        beats_utc: The same heartbeats in UTC seconds since the epoch.
        cameras_up: Whether each camera delivers frames.
        last_frame: UTC seconds since the epoch of each camera's last captured frame.
        reconnects: Connection attempts after the first one, by (camera, reason).
        counts: Other counters by (name, label).
    """

    frames: Mapping[tuple[str, str], int]
    dropped: Mapping[tuple[str, str, str], int]
    faces: Mapping[tuple[str, str], int]
    durations: Mapping[str, HistogramValue]
    latencies: Mapping[str, HistogramValue]
    batches: HistogramValue
    events: Mapping[tuple[str, str], int]
    beats: Mapping[str, int]
    beats_utc: Mapping[str, float]
    cameras_up: Mapping[str, bool]
    last_frame: Mapping[str, float]
    reconnects: Mapping[tuple[str, str], int]
    counts: Mapping[tuple[str, str], int]

    def in_flight(self, camera: str) -> int:
        """Return the frames captured but neither published nor dropped yet; never negative, 0 when the pipeline is empty."""
        dropped = sum(n for (c, stage, _), n in self.dropped.items() if c == camera and stage != "decode")
        return self.frames.get((camera, "capture"), 0) - self.frames.get((camera, "publishing"), 0) - dropped

    def dropped_frames(self, camera: str | None = None) -> int:
        """Return the frames dropped for any reason, decoding included, of one camera or of all (None)."""
        return sum(n for (c, _, _), n in self.dropped.items() if camera is None or c == camera)


class Counters:
    """Implements ``Observer`` with counters in memory; any thread."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._frames: dict[tuple[str, str], int] = defaultdict(int)
        self._dropped: dict[tuple[str, str, str], int] = defaultdict(int)
        self._faces: dict[tuple[str, str], int] = defaultdict(int)
        self._durations: dict[str, _Histogram] = defaultdict(lambda: _Histogram(DURATION_BUCKETS_S))
        self._latencies: dict[str, _Histogram] = defaultdict(lambda: _Histogram(LATENCY_BUCKETS_S))
        self._batches = _Histogram(BATCH_BUCKETS)
        self._events: dict[tuple[str, str], int] = defaultdict(int)
        self._beats: dict[str, tuple[int, float]] = {}
        self._up: dict[str, bool] = {}
        self._last_frame: dict[str, float] = {}
        self._reconnects: dict[tuple[str, str], int] = defaultdict(int)
        self._counts: dict[tuple[str, str], int] = defaultdict(int)

    def frame(self, camera: str, stage: str) -> None:
        """Count a frame that left ``stage``."""
        with self._lock:
            self._frames[camera, stage] += 1
            if stage == "capture":
                self._last_frame[camera] = self._clock.utc_ns() / 1e9

    def frame_dropped(self, camera: str, stage: str, reason: str, count: int = 1) -> None:
        """Count frames that ended at ``stage``."""
        with self._lock:
            self._dropped[camera, stage, reason] += count

    def faces(self, camera: str, outcome: str, count: int) -> None:
        """Count faces by outcome."""
        if count:
            with self._lock:
                self._faces[camera, outcome] += count

    def duration(self, stage: str, seconds: float) -> None:
        """Record the seconds of work that one item took in ``stage``."""
        with self._lock:
            self._durations[stage].observe(seconds)

    def latency(self, camera: str, seconds: float) -> None:
        """Record the seconds from a frame's capture to its hand-over to the sinks."""
        with self._lock:
            self._latencies[camera].observe(seconds)

    def batch(self, faces: int) -> None:
        """Record the number of faces of a batch."""
        with self._lock:
            self._batches.observe(faces)

    def event(self, camera: str, emotion: str) -> None:
        """Count a published face event."""
        with self._lock:
            self._events[camera, emotion] += 1

    def beat(self, stage: str) -> None:
        """Record a heartbeat of ``stage``."""
        self._beats[stage] = (self._clock.monotonic_ns(), self._clock.utc_ns() / 1e9)

    def camera_up(self, camera: str, up: bool) -> None:
        """Record whether a camera delivers frames."""
        with self._lock:
            self._up[camera] = up

    def reconnect(self, camera: str, reason: str) -> None:
        """Count a connection attempt after the first one."""
        with self._lock:
            self._reconnects[camera, reason] += 1

    def count(self, name: str, label: str = "", count: int = 1) -> None:
        """Add ``count`` to the counter ``name`` with this label."""
        with self._lock:
            self._counts[name, label] += count

    def forget_stage(self, stage: str) -> None:
        """Forget the heartbeat of a stage that ended on purpose."""
        self._beats.pop(stage, None)

    def snapshot(self) -> Snapshot:
        """Return all counters at this moment."""
        with self._lock:
            beats = dict(self._beats)
            return Snapshot(
                frames=dict(self._frames),
                dropped=dict(self._dropped),
                faces=dict(self._faces),
                durations={stage: histogram.value() for stage, histogram in self._durations.items()},
                latencies={camera: histogram.value() for camera, histogram in self._latencies.items()},
                batches=self._batches.value(),
                events=dict(self._events),
                beats={stage: beat[0] for stage, beat in beats.items()},
                beats_utc={stage: beat[1] for stage, beat in beats.items()},
                cameras_up=dict(self._up),
                last_frame=dict(self._last_frame),
                reconnects=dict(self._reconnects),
                counts=dict(self._counts),
            )
