"""ByteTrack (Zhang et al., ECCV 2022; edgefirst's implementation in Rust) behind the ``Tracker`` seam.

The library names tracks by random uuids and returns None for boxes below ``high_conf``. Here every
face gets a track at first sight (``high_conf`` is 0: the detector's own threshold has already
decided), ids are counters in the order of the faces, and births and deaths are kept in this file by
media time, so nothing of the library's randomness or of the wall clock gets out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from edgefirst.tracker import ByteTrack

from ferstream.domain.face import DetectedFrame, FaceCrop
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState

if TYPE_CHECKING:
    from ferstream.domain.frame import FrameInfo

_NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class _Life:
    """What is known of one living track."""

    number: int
    appeared_ns: int
    seen_ns: int


class ByteTracker:
    """Follows the faces of one camera; see ``Tracker``."""

    def __init__(self, *, camera: str, run: str, lifespan_s: float = 1.5, min_iou: float = 0.1, update: float = 0.5) -> None:
        """Start with no tracks.

        Args:
            camera: Name of the camera, first part of each id.
            run: Second part: random on live cameras, fixed in a replay, so that ids of two runs differ or agree as wanted.
            lifespan_s: Media time without a sight after which a track ends.
            min_iou: Least overlap of a face with where its track is expected.
            update: Weight of a new box in the library's smoothed location.
        """
        self._prefix = f"{camera}-{run}-"
        self._lifespan_ns = round(lifespan_s * _NS_PER_S)
        self._new_matcher = partial(ByteTrack, high_conf=0.0, iou=min_iou, update=update, lifespan_ns=self._lifespan_ns)
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
        keys = self._match(frame.faces, now_ns)
        faces = tuple(TrackedFace(self._see(key, now_ns), face) for key, face in zip(keys, frame.faces, strict=True))
        self._last = frame.info
        return TrackedFrame(info=frame.info, faces=faces, ended=ended)

    def finish(self) -> TrackedFrame | None:
        """End every living track; see ``Tracker.finish``."""
        if self._last is None or not self._lives:
            return None
        ended = tuple(self._left(life) for life in self._lives.values())
        self._lives.clear()
        return TrackedFrame(info=self._last, faces=(), ended=ended)

    def _match(self, faces: tuple[FaceCrop, ...], now_ns: int) -> list[str]:
        infos = self._matcher.update(_corners(faces), _scores(faces), np.zeros(len(faces), np.uintp), now_ns)
        return [info.uuid if info is not None else f"lone-{now_ns}-{position}" for position, info in enumerate(infos)]

    def _see(self, key: str, now_ns: int) -> Track:
        life = self._lives.get(key)
        if life is None:
            self._made += 1
            self._lives[key] = _Life(self._made, now_ns, now_ns)
            return Track(id=f"{self._prefix}{self._made}", state=TrackState.APPEARED, age_ns=0)
        life.seen_ns = now_ns
        return Track(id=f"{self._prefix}{life.number}", state=TrackState.PRESENT, age_ns=now_ns - life.appeared_ns)

    def _end_stale(self, now_ns: int) -> tuple[Track, ...]:
        stale = [key for key, life in self._lives.items() if now_ns - life.seen_ns > self._lifespan_ns]
        return tuple(self._left(self._lives.pop(key)) for key in stale)

    def _left(self, life: _Life) -> Track:
        return Track(id=f"{self._prefix}{life.number}", state=TrackState.LEFT, age_ns=life.seen_ns - life.appeared_ns)


def _corners(faces: tuple[FaceCrop, ...]) -> npt.NDArray[np.float32]:
    boxes = [face.face.box for face in faces]
    return np.array([(box.x, box.y, box.x + box.w, box.y + box.h) for box in boxes], np.float32).reshape(-1, 4)


def _scores(faces: tuple[FaceCrop, ...]) -> npt.NDArray[np.float32]:
    return np.array([face.face.score for face in faces], np.float32)
