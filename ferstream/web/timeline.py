"""The expressions of a recording over time, for each track: what a page needs to draw over the user's own copy of the video.

Memory is bounded: when there are too many points, every second one of each track is dropped, and from then on only every
second frame of a track becomes a point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ferstream.domain.emotion import LABELS
from ferstream.domain.track import TrackState

Json = dict[str, Any]
Point = tuple[Any, ...]

MAX_POINTS = 50_000
"""Most points of all tracks: about 4 MB of JSON."""


@dataclass(slots=True)
class _Track:
    """One track.

    Attributes:
        spans: (label, from, to), each in seconds of media time.
        points: Those that are kept.
        seen: Frames with the face, those without a point included.
    """

    spans: list[tuple[str, float, float]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    seen: int = 0


class Timeline:
    """Collects the face events of one recording, in their order.

    Args:
        max_points: Most points of all tracks, beside the first one of each.
    """

    def __init__(self, *, max_points: int = MAX_POINTS) -> None:
        self._max_points = max_points
        self._tracks: dict[str, _Track] = {}
        self._points, self._stride = 0, 1

    def add(self, event: Json) -> None:
        """Take one event of ``ferstream.face/1``. The event of a track that left repeats an earlier face and is not a point."""
        if event["track"]["state"] == TrackState.LEFT.value:
            return
        track = self._tracks.setdefault(event["track"]["id"], _Track())
        at = event["frame"]["media_time_s"]
        _extend(track.spans, event["emotion"]["smoothed"]["label"], at)
        if track.seen % self._stride == 0:
            track.points.append(_point(at, event))
            self._points += 1
        track.seen += 1
        if self._points > self._max_points + len(self._tracks):
            self._thin()

    def as_json(self, *, duration_s: float, width: int, height: int) -> Json:
        """Return the timeline.

        Args:
            duration_s: Length of the recording in seconds; of one that does not say it, the time of the last face.
            width: Width of its pictures in pixels, as displayed.
            height: Height in pixels.
        """
        last = max((track.spans[-1][2] for track in self._tracks.values()), default=0.0)
        tracks = [_track_json(name, track) for name, track in self._tracks.items()]
        return {"duration_s": round(max(duration_s, last), 3), "width": width, "height": height, "labels": list(LABELS), "tracks": tracks}

    def _thin(self) -> None:
        self._stride *= 2
        for track in self._tracks.values():
            track.points = track.points[::2]
        self._points = sum(len(track.points) for track in self._tracks.values())


def _extend(spans: list[tuple[str, float, float]], label: str, at: float) -> None:
    if spans:
        last, start, _ = spans[-1]
        spans[-1] = (last, start, at)
        if last == label:
            return
    spans.append((label, at, at))


def _point(at: float, event: Json) -> Point:
    emotion = event["emotion"]
    shares = emotion["probabilities"]
    return (at, *event["face"]["box"], emotion["label"], *([None] * len(LABELS) if shares is None else shares.values()))


def _track_json(name: str, track: _Track) -> Json:
    return {
        "id": name,
        "from_s": track.spans[0][1],
        "to_s": track.spans[-1][2],
        "spans": [{"label": label, "from_s": start, "to_s": end} for label, start, end in track.spans],
        "points": [list(point) for point in track.points],
    }
