"""The tracker on ByteTrack (Zhang et al., ECCV 2022), in edgefirst's implementation in Rust.

The library identifies tracks by random UUIDs, and returns None for boxes below ``high_conf``. Here every face
gets a track in its first frame (``high_conf`` is 0; the detector has its own limit), ids are numbers in the order of
the faces, and this module decides by media time when tracks start and end, so that results depend neither on
the random UUIDs nor on the time of day. Boxes are widened before matching, because at a few frames per second a
walking person's face leaves its previous box (buffered IoU; Yang et al., WACV 2023). Boxes are compared in pixels of the
first frame, so a change of the resolution ends no track. The measurements behind the defaults are in docs/adr/0021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from edgefirst.tracker import ByteTrack

from ferstream.domain.face import Box, DetectedFrame, FaceCrop, Thumbnail
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.tracking.continuity import Motion, is_cut, is_jump, motion_between
from ferstream.tracking.recovery import RecoveryLimits, recover_tracks

if TYPE_CHECKING:
    from ferstream.domain.frame import FrameInfo

_NS_PER_S = 1_000_000_000
_MATCHER_MEMORY_NS = 0
"""How long the library keeps a track without a face: until the next frame only; ``recover_tracks`` handles longer absences."""


@dataclass(slots=True)
class _TrackRecord:
    """State of one track that has not ended."""

    number: int
    appeared_ns: int
    seen_ns: int
    box: Box
    motion: Motion = (0.0, 0.0)


class ByteTracker:
    """Tracks the faces of one connection of a camera; see ``Tracker``."""

    def __init__(
        self,
        *,
        camera: str,
        run: str,
        lifespan_s: float = 1.5,
        min_iou: float = 0.2,
        widen: float = 0.6,
        update: float = 1.0,
        recovery: RecoveryLimits | None = None,
    ) -> None:
        """Start with no tracks.

        Args:
            camera: Name of the camera, the first part of each id.
            run: Second part of each id: random for live cameras, fixed in a replay.
            lifespan_s: Seconds of media time without a face after which a track ends.
            min_iou: Lowest overlap, 0..1, of a widened box with the expected box of its track.
            widen: Added to each side of a box for matching, as a fraction of its width or height.
            update: Weight, 0..1, of a new box in the library's smoothed box.
            recovery: How much a face may differ from a lost track that it recovers; None for the defaults.
        """
        self._prefix = f"{camera}-{run}-"
        self._lifespan_ns = round(lifespan_s * _NS_PER_S)
        self._widen = widen
        self._recovery = recovery or RecoveryLimits()
        self._new_matcher = partial(ByteTrack, high_conf=0.0, iou=min_iou, update=update, lifespan_ns=_MATCHER_MEMORY_NS)
        self._matcher = self._new_matcher()
        self._records: dict[str, _TrackRecord] = {}
        self._created = 0
        self._last: FrameInfo | None = None
        self._first_size: tuple[int, int] | None = None
        self._thumbnail: Thumbnail | None = None

    @property
    def tracks(self) -> int:
        """Number of tracks that have not ended."""
        return len(self._records)

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        """Return the faces with their tracks; see ``Tracker.update``."""
        now_ns = frame.info.media_time_ns
        ended = self._end_stale(now_ns)
        if self._last is not None and now_ns - self._last.media_time_ns > self._lifespan_ns:
            # The library matches before it removes old tracks: after a gap it would continue tracks that have ended.
            self._matcher = self._new_matcher()
        boxes = [self._in_first_size(item.face.box, frame.info) for item in frame.faces]
        keys = self._match(frame.faces, boxes, now_ns)
        self._recover(keys, boxes)
        faces = tuple(self._tracked(key, face, box, now_ns) for key, face, box in zip(keys, frame.faces, boxes, strict=True))
        self._last = frame.info
        return TrackedFrame(info=frame.info, faces=faces, ended=ended, cut=self._is_cut(frame))

    def finish(self) -> TrackedFrame | None:
        """End all tracks; see ``Tracker.finish``."""
        if self._last is None or not self._records:
            return None
        ended = self._end(list(self._records))
        return TrackedFrame(info=self._last, faces=(), ended=ended)

    def _in_first_size(self, box: Box, info: FrameInfo) -> Box:
        """Return the box in pixels of the first frame, so that tracks go on when the camera changes its resolution."""
        if self._first_size is None:
            self._first_size = info.width, info.height
        if self._first_size == (info.width, info.height):
            return box
        x_scale, y_scale = self._first_size[0] / info.width, self._first_size[1] / info.height
        return Box(box.x * x_scale, box.y * y_scale, box.w * x_scale, box.h * y_scale)

    def _match(self, faces: Sequence[FaceCrop], boxes: Sequence[Box], now_ns: int) -> list[str]:
        scores = np.array([item.face.score for item in faces], np.float32)
        infos = self._matcher.update(_corners(boxes, self._widen), scores, np.zeros(len(faces), np.uintp), now_ns)
        return [info.uuid if info is not None else f"alone-{now_ns}-{position}" for position, info in enumerate(infos)]

    def _recover(self, keys: Sequence[str], boxes: Sequence[Box]) -> None:
        """Give lost tracks to faces that the matcher calls new."""
        new = [position for position, key in enumerate(keys) if key not in self._records]
        if not new:
            return
        lost = sorted(self._records.keys() - set(keys), key=lambda key: self._records[key].number)
        pairs = recover_tracks([boxes[position] for position in new], [self._records[key].box for key in lost], self._recovery)
        for face, track in pairs.items():
            self._records[keys[new[face]]] = self._records.pop(lost[track])

    def _tracked(self, key: str, face: FaceCrop, box: Box, now_ns: int) -> TrackedFace:
        record = self._records.get(key)
        if record is None:
            self._created += 1
            self._records[key] = _TrackRecord(self._created, now_ns, now_ns, box)
            return TrackedFace(Track(id=f"{self._prefix}{self._created}", state=TrackState.APPEARED, age_ns=0), face)
        elapsed_ns = now_ns - record.seen_ns
        jumped = is_jump(record.box, record.motion, box, elapsed_ns)
        record.motion = motion_between(record.box, box, elapsed_ns)
        record.seen_ns, record.box = now_ns, box
        track = Track(id=f"{self._prefix}{record.number}", state=TrackState.PRESENT, age_ns=now_ns - record.appeared_ns)
        return TrackedFace(track, face, jumped=jumped)

    def _is_cut(self, frame: DetectedFrame) -> bool:
        before, thumbnail = self._thumbnail, frame.thumbnail
        self._thumbnail = thumbnail
        if frame.cut is not None:
            return frame.cut
        return before is not None and thumbnail is not None and is_cut(before, thumbnail)

    def _end_stale(self, now_ns: int) -> tuple[Track, ...]:
        return self._end([key for key, record in self._records.items() if now_ns - record.seen_ns > self._lifespan_ns])

    def _end(self, keys: Sequence[str]) -> tuple[Track, ...]:
        """Remove tracks, and return them in the order in which they appeared."""
        ended = sorted((self._records.pop(key) for key in keys), key=lambda record: record.number)
        return tuple(Track(f"{self._prefix}{record.number}", TrackState.LEFT, record.seen_ns - record.appeared_ns) for record in ended)


def _corners(boxes: Sequence[Box], widen: float) -> npt.NDArray[np.float32]:
    corners = [(box.x - widen * box.w, box.y - widen * box.h, box.x + (1 + widen) * box.w, box.y + (1 + widen) * box.h) for box in boxes]
    return np.array(corners, np.float32).reshape(-1, 4)
