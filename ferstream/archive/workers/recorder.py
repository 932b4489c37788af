"""Keeps what the pipeline finds in the frames of one chunk, in place of tracks and labels, which need all frames before.

The recorder is the tracker and the labeller of its pipeline: the tracking thread calls ``update`` and the inference thread ``label``, both
in the order of the frames; the rest is called when these threads have ended.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.archive.chunk_file import ABSTAINED, ChunkResult, FaceTable, FrameTable
from ferstream.domain.emotion import LABELS
from ferstream.domain.event import LabelledFrame
from ferstream.domain.face import DetectedFrame, FaceCrop, Thumbnail
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.tracking.continuity import is_cut

_TRACK = Track(id="", state=TrackState.PRESENT, age_ns=0)
"""Stands for the track of every face."""
_CODES = {reason: code for code, reason in enumerate(ABSTAINED)}
_UNCLASSIFIED = (0.0,) * len(LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFacts:
    """What is known of a chunk beside its frames; see ``ChunkResult``.

    Attributes:
        recording: Number of the recording in the plan.
        chunk: Number of the chunk.
        end: Number of the picture behind its last one; None for a whole recording.
        decoded: Pictures that were decoded, without those of the overlap.
        lost: Frames that were damaged or missing.
        head: Digests of the first pictures.
        tail: Digests of the first pictures behind it.
    """

    recording: int
    chunk: int
    end: int | None
    decoded: int
    lost: int = 0
    head: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()


class Recorder:
    """Records the frames of one chunk; see ``Tracker`` and ``Labeller``."""

    def __init__(self) -> None:
        """Start without frames."""
        self._thumbnail: Thumbnail | None = None
        self._frames = {name: array("q") for name in FrameTable.__slots__}
        self._boxes, self._scores, self._landmarks = array("d"), array("d"), array("d")
        self._abstained, self._classified, self._probabilities = array("B"), array("B"), array("f")

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        """Return the faces of the next frame, whose tracks mean nothing, and whether it shows another scene than the frame before."""
        before, self._thumbnail = self._thumbnail, frame.thumbnail
        cut = before is not None and frame.thumbnail is not None and is_cut(before, frame.thumbnail)
        faces = tuple(TrackedFace(_TRACK, face) for face in frame.faces)
        return TrackedFrame(info=frame.info, faces=faces, cut=cut)

    def finish(self) -> None:
        """There are no tracks to end."""

    def label(self, frame: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        """Record the next frame; what is returned has no faces.

        Args:
            frame: The frame, as ``update`` returned it. One that only ends tracks, because its faces were lost, is not recorded.
            probabilities: For each face 7 probabilities in LABELS order; None for a face that was not classified.
        """
        if not frame.end_of_stream:
            info = frame.info
            values = (info.index, info.media_time_ns, info.width, info.height, frame.cut, len(frame.faces))
            for name, value in zip(("index", "media_time_ns", "width", "height", "cut", "faces"), values, strict=True):
                self._frames[name].append(value)
            for face, row in zip(frame.faces, probabilities, strict=True):
                self._add_face(face.face, row)
        return LabelledFrame(frame.info, faces=(), changes=(), end_of_stream=frame.end_of_stream)

    def result(self, facts: ChunkFacts) -> ChunkResult:
        """Return what was recorded.

        Args:
            facts: What else is known of the chunk.
        """
        frames = self._frame_table()
        return ChunkResult(
            recording=facts.recording,
            chunk=facts.chunk,
            frames=frames,
            faces=self._face_table(),
            overlap=0 if facts.end is None else int((frames.index >= facts.end).sum()),
            decoded=facts.decoded,
            lost=facts.lost,
            head=facts.head,
            tail=facts.tail,
        )

    def _add_face(self, crop: FaceCrop, row: Sequence[float] | None) -> None:
        face = crop.face
        self._boxes.extend((face.box.x, face.box.y, face.box.w, face.box.h))
        self._scores.append(face.score)
        self._landmarks.extend(coordinate for point in face.landmarks for coordinate in point)
        self._abstained.append(_CODES[crop.abstained])
        self._classified.append(row is not None)
        self._probabilities.extend(_UNCLASSIFIED if row is None else row)

    def _frame_table(self) -> FrameTable:
        columns = {name: np.array(values, np.int64) for name, values in self._frames.items()}
        return FrameTable(
            index=columns["index"],
            media_time_ns=columns["media_time_ns"],
            width=columns["width"].astype(np.int32),
            height=columns["height"].astype(np.int32),
            cut=columns["cut"].astype(np.bool_),
            faces=columns["faces"].astype(np.int32),
        )

    def _face_table(self) -> FaceTable:
        return FaceTable(
            box=_column(self._boxes, np.float64).reshape(-1, 4),
            score=_column(self._scores, np.float64),
            landmarks=_column(self._landmarks, np.float64).reshape(-1, 10),
            abstained=_column(self._abstained, np.uint8),
            classified=_column(self._classified, np.uint8).astype(np.bool_),
            probabilities=_column(self._probabilities, np.float32).reshape(-1, len(LABELS)),
        )


def _column(values: array[Any], dtype: type[Any]) -> npt.NDArray[Any]:
    return np.array(values, dtype)
