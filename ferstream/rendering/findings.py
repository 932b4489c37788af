"""What was found in the pictures around a moment of a recording, and where a face is between two pictures that show it.

Places are relative to the picture, 0..1, so that they fit pictures of any size. One thread.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ferstream.domain.emotion import Emotion
from ferstream.domain.event import LabelledFrame
from ferstream.domain.face import Box, Face, Point
from ferstream.domain.frame import FrameInfo
from ferstream.domain.track import TrackState

NS_PER_S = 1_000_000_000
STRIP_S = 5.0
"""Seconds of a track that its strip shows."""
HOLD_S = 0.6
"""Seconds before and after a detection during which a hidden face stays hidden, although the detector does not find it."""
LONGEST_GAP_S = 2.0
"""Longest time between two sightings of one track in which its face is taken to be on the line between them."""
_SAME_PLACE = 0.6
"""Distance of two boxes, in their mean side, below which they are the same face."""
_SAME_SIZE = 1.6
"""Ratio of their sides below which they are the same face."""
_GROWTH_PER_S = 1.0
"""Growth of a held box, in its own size a second: the face may have moved on."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one picture.

    Attributes:
        at_ns: Media time of the picture.
        box: The face, relative to the picture.
        landmarks: Its five points, relative to the picture.
        emotion: Its labels.
    """

    at_ns: int
    box: Box
    landmarks: tuple[Point, ...]
    emotion: Emotion


@dataclass(frozen=True, slots=True)
class ShownFace:
    """A face as it is drawn into one picture.

    Attributes:
        box: Its place, relative to the picture.
        landmarks: Its five points; empty where the face was not found in this very picture.
        emotion: Its labels in this picture, or in the last one before it that shows the face.
        strip: Parts of the last ``STRIP_S`` seconds, oldest first: begin and end in seconds before now, and the smoothed label.
    """

    box: Box
    landmarks: tuple[Point, ...]
    emotion: Emotion
    strip: tuple[tuple[float, float, str], ...]


@dataclass(slots=True)
class _Track:
    sightings: list[Sighting] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def add(self, sighting: Sighting) -> None:
        self.sightings.append(sighting)
        self.times.append(sighting.at_ns)

    def forget_before(self, at_ns: int) -> None:
        """Drop old sightings, and keep the last one of them, between which and the next the face may be."""
        old = max(0, bisect_left(self.times, at_ns) - 1)
        del self.sightings[:old]
        del self.times[:old]

    def around(self, at_ns: int) -> tuple[Sighting | None, Sighting | None]:
        """Return the last sighting up to a moment, and the next one after it."""
        position = bisect_right(self.times, at_ns)
        before = self.sightings[position - 1] if position else None
        return before, self.sightings[position] if position < len(self.sightings) else None


class Findings:
    """Collects labelled frames in their order, and answers for any moment up to the last one of them."""

    def __init__(self, *, longest_gap_s: float = LONGEST_GAP_S) -> None:
        """Start empty.

        Args:
            longest_gap_s: Longest time in seconds between two sightings of one track in which its face is drawn.
        """
        self._longest_gap_ns = round(longest_gap_s * NS_PER_S)
        self._tracks: dict[str, _Track] = {}
        self.until_ns = -1
        """Media time of the last frame so far; -1 before the first."""

    def add(self, frame: LabelledFrame) -> None:
        """Take the faces of the next frame."""
        info = frame.info
        self.until_ns = max(self.until_ns, info.media_time_ns)
        for event in frame.faces:
            if event.track.state is not TrackState.LEFT:
                sighting = Sighting(info.media_time_ns, *_relative(event.face, info), event.emotion)
                self._tracks.setdefault(event.track.id, _Track()).add(sighting)

    def forget_before(self, at_ns: int) -> None:
        """Drop what no moment from ``at_ns`` on needs."""
        oldest_ns = at_ns - round(STRIP_S * NS_PER_S)
        gone = [name for name, track in self._tracks.items() if track.times[-1] < oldest_ns]
        for name in gone:
            del self._tracks[name]
        for track in self._tracks.values():
            track.forget_before(oldest_ns)

    def faces_at(self, at_ns: int) -> list[ShownFace]:
        """Return the faces of a moment, in the order in which their tracks began."""
        return [face for track in self._tracks.values() if (face := self._face_of(track, at_ns)) is not None]

    def _face_of(self, track: _Track, at_ns: int) -> ShownFace | None:
        before, after = track.around(at_ns)
        if before is None:
            return None
        if before.at_ns == at_ns:
            return ShownFace(before.box, before.landmarks, before.emotion, _strip(track, at_ns))
        if after is None or after.at_ns - before.at_ns > self._longest_gap_ns:
            return None
        part = (at_ns - before.at_ns) / (after.at_ns - before.at_ns)
        return ShownFace(_between(before.box, after.box, part), (), before.emotion, _strip(track, at_ns))


class Detections:
    """Where the detector saw anything like a face, for hiding: also with low scores, and shortly before and after.

    ``add`` is called by the detection threads in any order, before the frame is labelled; the rest by the drawing thread.
    """

    def __init__(self, *, hold_s: float = HOLD_S) -> None:
        """Start empty.

        Args:
            hold_s: Seconds before and after a detection during which its place is hidden where nothing was found.
        """
        self._hold_ns = round(hold_s * NS_PER_S)
        self._boxes: dict[int, tuple[Box, ...]] = {}
        self._lock = threading.Lock()

    def add(self, info: FrameInfo, faces: Iterable[Face]) -> None:
        """Take the detections of one frame."""
        boxes = tuple(_relative(face, info)[0] for face in faces)
        with self._lock:
            self._boxes[info.media_time_ns] = boxes

    def knows(self, at_ns: int) -> bool:
        """Whether the detector saw the picture of this moment."""
        with self._lock:
            return at_ns in self._boxes

    def forget_before(self, at_ns: int) -> None:
        """Drop what no moment from ``at_ns`` on needs."""
        with self._lock:
            self._boxes = {moment: boxes for moment, boxes in self._boxes.items() if moment >= at_ns - self._hold_ns}

    def places_at(self, at_ns: int, tracked: Sequence[Box]) -> list[Box]:
        """Return what is to be hidden at a moment.

        Args:
            at_ns: Media time of the picture.
            tracked: Faces known by their tracks, found in this picture or not.
        """
        with self._lock:
            near = [(moment - at_ns, boxes) for moment, boxes in self._boxes.items() if abs(moment - at_ns) <= self._hold_ns]
        places = [*(box for apart_ns, boxes in near if apart_ns == 0 for box in boxes), *tracked]
        earlier = sorted(((-apart_ns, boxes) for apart_ns, boxes in near if apart_ns < 0), key=lambda item: item[0])
        later = sorted(((apart_ns, boxes) for apart_ns, boxes in near if apart_ns > 0), key=lambda item: item[0])
        return [*places, *_unaccounted(places, earlier), *_unaccounted(places, later)]


def _unaccounted(places: Sequence[Box], pictures: Sequence[tuple[int, tuple[Box, ...]]]) -> Iterator[Box]:
    """Yield the places of faces of neighbouring pictures that were not found in the present one.

    Args:
        places: The faces of the present picture.
        pictures: The distance in nanoseconds and the faces of each neighbouring picture, the nearest first. A face is followed from
            picture to picture, so that one that moves is not hidden all along its way.
    """
    followed = list(places)
    for apart_ns, boxes in pictures:
        for box in boxes:
            known = next((number for number, other in enumerate(followed) if _is_same(box, other)), None)
            if known is None:
                followed.append(box)
                yield _grown(box, 1 + _GROWTH_PER_S * apart_ns / NS_PER_S)
            else:
                followed[known] = box


def _relative(face: Face, info: FrameInfo) -> tuple[Box, tuple[Point, ...]]:
    width, height = info.width, info.height
    box = Box(face.box.x / width, face.box.y / height, face.box.w / width, face.box.h / height)
    return box, tuple((x / width, y / height) for x, y in face.landmarks)


def _between(first: Box, second: Box, part: float) -> Box:
    """Return the box at a part, 0..1, of the way from one to another."""

    def at(a: float, b: float) -> float:
        return a + (b - a) * part

    return Box(at(first.x, second.x), at(first.y, second.y), at(first.w, second.w), at(first.h, second.h))


def _grown(box: Box, factor: float) -> Box:
    """Return a box enlarged around its middle."""
    wide, high = box.w * factor, box.h * factor
    return Box(box.x - (wide - box.w) / 2, box.y - (high - box.h) / 2, wide, high)


def _is_same(first: Box, second: Box) -> bool:
    """Whether two boxes of different pictures are one face, by place and size."""
    ratio = (first.w * first.h / max(second.w * second.h, 1e-12)) ** 0.5
    if not 1 / _SAME_SIZE < ratio < _SAME_SIZE:
        return False
    across = abs(first.x + first.w / 2 - second.x - second.w / 2) / max((first.w + second.w) / 2, 1e-9)
    down = abs(first.y + first.h / 2 - second.y - second.h / 2) / max((first.h + second.h) / 2, 1e-9)
    return max(across, down) < _SAME_PLACE


def _strip(track: _Track, at_ns: int) -> tuple[tuple[float, float, str], ...]:
    """Return the smoothed labels of the last seconds, neighbours with one label joined."""
    parts: list[tuple[float, float, str]] = []
    for begin_ns, end_ns, label in _spans(track, at_ns):
        begin_s, end_s = min((at_ns - begin_ns) / NS_PER_S, STRIP_S), (at_ns - end_ns) / NS_PER_S
        if parts and parts[-1][2] == label and abs(parts[-1][1] - begin_s) < 1e-9:
            parts[-1] = (parts[-1][0], end_s, label)
        else:
            parts.append((begin_s, end_s, label))
    return tuple(parts)


def _spans(track: _Track, at_ns: int) -> Iterator[tuple[int, int, str]]:
    """Yield begin, end and label of the time after each sighting of the last seconds; long absences are left out."""
    oldest_ns = at_ns - round(STRIP_S * NS_PER_S)
    shown = [sighting for sighting in track.sightings if sighting.at_ns <= at_ns]
    for sighting, following in zip(shown, [*shown[1:], None], strict=True):
        end_ns = at_ns if following is None else following.at_ns
        if end_ns > oldest_ns and end_ns - sighting.at_ns <= LONGEST_GAP_S * NS_PER_S:
            yield sighting.at_ns, end_ns, sighting.emotion.smoothed.label
