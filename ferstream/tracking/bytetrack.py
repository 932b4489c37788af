"""ByteTrack (Zhang et al., ECCV 2022; edgefirst's implementation in Rust) behind the ``Tracker`` seam.

The library names tracks by random uuids and returns None for boxes below ``high_conf``. Here every
face gets a track at first sight (``high_conf`` is 0: the detector's own threshold has already
decided), ids are counters in the order of the faces, and births and deaths are kept in this file by
media time, so nothing of the library's randomness or of the wall clock gets out. Boxes are widened
before matching, because at a few frames a second a walking face leaves its own box (buffered IoU;
Yang et al., WACV 2023). The numbers behind the defaults: docs/adr/0021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from edgefirst.tracker import ByteTrack

from ferstream.domain.face import Box, DetectedFrame, FaceCrop
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.tracking.reunion import ReunionLimits, reunite

if TYPE_CHECKING:
    from ferstream.domain.frame import FrameInfo

_NS_PER_S = 1_000_000_000
_MATCHER_MEMORY_NS = 0
"""How long the library keeps an unseen track: to the next frame only; absences are for ``reunite``."""


@dataclass(slots=True)
class _Life:
    """What is known of one living track."""

    number: int
    appeared_ns: int
    seen_ns: int
    box: Box


class ByteTracker:
    """Follows the faces of one camera; see ``Tracker``."""

    def __init__(
        self,
        *,
        camera: str,
        run: str,
        lifespan_s: float = 1.5,
        min_iou: float = 0.2,
        widen: float = 0.6,
        update: float = 1.0,
        reunion: ReunionLimits | None = None,
    ) -> None:
        """Start with no tracks.

        Args:
            camera: Name of the camera, first part of each id.
            run: Second part: random on live cameras, fixed in a replay, so that ids of two runs differ or agree as wanted.
            lifespan_s: Media time without a sight after which a track ends.
            min_iou: Least overlap, 0..1, of a widened face with where its track is expected.
            widen: How much is added to a box on each side for matching, in parts of its own side.
            update: Weight, 0..1, of a new box in the library's smoothed location.
            reunion: How far a face may have moved while it was away.
        """
        self._prefix = f"{camera}-{run}-"
        self._lifespan_ns = round(lifespan_s * _NS_PER_S)
        self._widen = widen
        self._reunion = reunion or ReunionLimits()
        self._new_matcher = partial(ByteTrack, high_conf=0.0, iou=min_iou, update=update, lifespan_ns=_MATCHER_MEMORY_NS)
        self._matcher = self._new_matcher()
        self._lives: dict[str, _Life] = {}
        self._made = 0
        self._last: FrameInfo | None = None

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        """Give each face its track; see ``Tracker.update``."""
        now_ns = frame.info.media_time_ns
        ended = self._end_stale(now_ns)
        if self._last is not None and now_ns - self._last.media_time_ns > self._lifespan_ns:
            # The library matches before it forgets: after a gap it would revive tracks that are over.
            self._matcher = self._new_matcher()
        boxes = [item.face.box for item in frame.faces]
        keys = self._match(frame.faces, boxes, now_ns)
        self._bring_back(keys, boxes)
        tracks = [self._see(key, box, now_ns) for key, box in zip(keys, boxes, strict=True)]
        self._last = frame.info
        faces = tuple(TrackedFace(track, face) for track, face in zip(tracks, frame.faces, strict=True))
        return TrackedFrame(info=frame.info, faces=faces, ended=ended)

    def finish(self) -> TrackedFrame | None:
        """End every living track; see ``Tracker.finish``."""
        if self._last is None or not self._lives:
            return None
        ended = self._end(list(self._lives))
        return TrackedFrame(info=self._last, faces=(), ended=ended)

    def _match(self, faces: Sequence[FaceCrop], boxes: Sequence[Box], now_ns: int) -> list[str]:
        scores = np.array([item.face.score for item in faces], np.float32)
        infos = self._matcher.update(_corners(boxes, self._widen), scores, np.zeros(len(faces), np.uintp), now_ns)
        return [info.uuid if info is not None else f"alone-{now_ns}-{position}" for position, info in enumerate(infos)]

    def _bring_back(self, keys: Sequence[str], boxes: Sequence[Box]) -> None:
        """Hand idle tracks on to faces that the matcher calls new."""
        new = [position for position, key in enumerate(keys) if key not in self._lives]
        if not new:
            return
        idle = sorted(self._lives.keys() - set(keys), key=lambda key: self._lives[key].number)
        pairs = reunite([boxes[position] for position in new], [self._lives[key].box for key in idle], self._reunion)
        for face, track in pairs.items():
            self._lives[keys[new[face]]] = self._lives.pop(idle[track])

    def _see(self, key: str, box: Box, now_ns: int) -> Track:
        life = self._lives.get(key)
        if life is None:
            self._made += 1
            self._lives[key] = _Life(self._made, now_ns, now_ns, box)
            return Track(id=f"{self._prefix}{self._made}", state=TrackState.APPEARED, age_ns=0)
        life.seen_ns, life.box = now_ns, box
        return Track(id=f"{self._prefix}{life.number}", state=TrackState.PRESENT, age_ns=now_ns - life.appeared_ns)

    def _end_stale(self, now_ns: int) -> tuple[Track, ...]:
        return self._end([key for key, life in self._lives.items() if now_ns - life.seen_ns > self._lifespan_ns])

    def _end(self, keys: Sequence[str]) -> tuple[Track, ...]:
        """Forget tracks; in the order of their birth, whatever the library calls them."""
        over = sorted((self._lives.pop(key) for key in keys), key=lambda life: life.number)
        return tuple(Track(f"{self._prefix}{life.number}", TrackState.LEFT, life.seen_ns - life.appeared_ns) for life in over)


def _corners(boxes: Sequence[Box], widen: float) -> npt.NDArray[np.float32]:
    corners = [(box.x - widen * box.w, box.y - widen * box.h, box.x + (1 + widen) * box.w, box.y + (1 + widen) * box.h) for box in boxes]
    return np.array(corners, np.float32).reshape(-1, 4)
