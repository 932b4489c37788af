"""The last minutes as numbers for charts, taken from the counters at intervals."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ferstream.events.encode import Json
from ferstream.runtime.counters import HistogramValue, Snapshot

INTERVAL_S = 2.0
"""Time between two points in seconds."""
POINTS = 300
"""Points that are kept: ten minutes."""
LATENCY_SAMPLES = 5
"""Samples over which the present latency is taken: ten seconds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters at one moment, summed over the cameras.

    Attributes:
        at_ns: UTC in nanoseconds since the epoch.
        monotonic_ns: Monotonic time in nanoseconds.
        published: Frames that left publishing.
        faces: Faces found.
        dropped: Frames that were dropped.
        latency: Seconds from capture to publishing; None before the first frame.
        outbox: Events that wait in the outbox.
    """

    at_ns: int
    monotonic_ns: int
    published: int
    faces: int
    dropped: int
    latency: HistogramValue | None
    outbox: int


def sample_of(snapshot: Snapshot, *, at_ns: int, monotonic_ns: int, outbox: int) -> Sample:
    """Sum a snapshot over its cameras.

    Args:
        snapshot: The counters.
        at_ns: UTC in nanoseconds since the epoch.
        monotonic_ns: Monotonic time in nanoseconds.
        outbox: Events that wait in the outbox.
    """
    return Sample(
        at_ns=at_ns,
        monotonic_ns=monotonic_ns,
        published=sum(count for (_, stage), count in snapshot.frames.items() if stage == "publishing"),
        faces=sum(count for (_, outcome), count in snapshot.faces.items() if outcome == "found"),
        dropped=sum(snapshot.dropped.values()),
        latency=_sum(snapshot.latencies),
        outbox=outbox,
    )


class History:
    """Points of the last minutes. One thread adds, any thread reads.

    Args:
        show_faces: Whether the number of faces is shown; not under ``aggregate_only``, where it could be about one person.
        points: Points that are kept.
    """

    def __init__(self, *, show_faces: bool, points: int = POINTS) -> None:
        self._show_faces, self._lock = show_faces, threading.Lock()
        self._samples: deque[Sample] = deque(maxlen=LATENCY_SAMPLES + 1)
        self._points: deque[Json] = deque(maxlen=points)

    def add(self, sample: Sample) -> None:
        """Add the next sample; it gives a point if there was one before."""
        with self._lock:
            if self._samples:
                self._points.append(self._point(self._samples[-1], sample))
            self._samples.append(sample)

    def as_json(self) -> Json:
        """Return ``interval_s`` and the points, the oldest first."""
        with self._lock:
            return {"interval_s": INTERVAL_S, "points": list(self._points)}

    def latency_ms(self) -> Json:
        """Return percentiles of the last seconds in milliseconds; null without a frame."""
        with self._lock:
            recent = _since(self._samples[-1].latency, self._samples[0].latency) if self._samples else None
        return {name: _quantile_ms(recent, q) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}

    def _point(self, before: Sample, now: Sample) -> Json:
        seconds = max(1e-3, (now.monotonic_ns - before.monotonic_ns) / 1e9)
        latency = _since(now.latency, before.latency)
        return {
            "at": round(now.at_ns / 1e9, 3),
            "fps": round((now.published - before.published) / seconds, 2),
            "faces_per_s": round((now.faces - before.faces) / seconds, 2) if self._show_faces else None,
            "p50_ms": _quantile_ms(latency, 0.5),
            "p99_ms": _quantile_ms(latency, 0.99),
            "dropped_per_s": round((now.dropped - before.dropped) / seconds, 2),
            "outbox": now.outbox,
        }


def _sum(histograms: Mapping[str, HistogramValue]) -> HistogramValue | None:
    """Add histograms with the same bounds; None without any."""
    values = list(histograms.values())
    if not values:
        return None
    counts = tuple(sum(column) for column in zip(*(value.counts for value in values), strict=True))
    return HistogramValue(values[0].bounds, counts, sum(value.sum for value in values))


def _since(now: HistogramValue | None, before: HistogramValue | None) -> HistogramValue | None:
    """Return what was observed between two moments."""
    if now is None or before is None:
        return now
    counts = tuple(late - early for late, early in zip(now.counts, before.counts, strict=True))
    return HistogramValue(now.bounds, counts, now.sum - before.sum)


def _quantile_ms(histogram: HistogramValue | None, q: float) -> float | None:
    return round(histogram.quantile(q) * 1000, 1) if histogram is not None and histogram.count else None
