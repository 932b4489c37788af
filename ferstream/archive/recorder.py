"""Records what a pipeline finds in the frames of a chunk, in place of tracks and labels.

The recorder stands where the pipeline has a tracker and a labeller: the tracking thread calls ``update``, the inference thread ``label``,
both in the order of the frames. It keeps numbers only: crops and thumbnails are dropped as soon as they are classified and compared.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence

import numpy as np

from ferstream.archive.chunk_file import ABSTAINED, FaceTable, FrameTable
from ferstream.domain.emotion import LABELS
from ferstream.domain.event import LabelledFrame
from ferstream.domain.face import DetectedFrame, FaceCrop, Thumbnail
from ferstream.domain.track import Track, TrackedFace, TrackedFrame, TrackState
from ferstream.tracking.continuity import is_cut

_TRACK = Track(id="", state=TrackState.PRESENT, age_ns=0)
"""Stands for the track of every face; nobody looks at it."""
_NO_PROBABILITIES = (0.0,) * len(LABELS)
_CODES = {reason: code for code, reason in enumerate(ABSTAINED)}


class ChunkRecorder:
    """What was found in the frames of one chunk; a ``Tracker`` and a ``Labeller``."""

    def __init__(self) -> None:
        """Start without frames."""
        self._waiting: deque[tuple[DetectedFrame, bool]] = deque()
        self._before: Thumbnail | None = None
        self._index, self._media_time_ns = array("q"), array("q")
        self._width, self._height, self._faces = array("i"), array("i"), array("i")
        self._cut = array("B")
        self._box, self._score, self._landmarks = array("d"), array("d"), array("d")
        self._abstained, self._classified = array("B"), array("B")
        self._probabilities = array("f")

    @property
    def tracks(self) -> int:
        """Number of tracks that have not ended: always 0."""
        return 0

    def update(self, frame: DetectedFrame) -> TrackedFrame:
        """Take the next frame; see ``Tracker.update``."""
        before, self._before = self._before, frame.thumbnail
        cut = before is not None and frame.thumbnail is not None and is_cut(before, frame.thumbnail)
        self._waiting.append((frame, cut))
        return TrackedFrame(info=frame.info, faces=tuple(TrackedFace(_TRACK, face) for face in frame.faces))

    def finish(self) -> TrackedFrame | None:
        """Nothing is left to say at the end."""
        return None

    def label(self, frame: TrackedFrame, probabilities: Sequence[Sequence[float] | None]) -> LabelledFrame:
        """Record the next frame with what the classifier says of its faces; see ``Labeller.label``.

        Raises:
            ValueError: It is not the frame that ``update`` took.
        """
        detected, cut = self._waiting.popleft()
        if detected.info is not frame.info or len(probabilities) != len(detected.faces):
            raise ValueError(f"frame {frame.info.index} came where frame {detected.info.index} was expected")
        info = detected.info
        self._index.append(info.index)
        self._media_time_ns.append(info.media_time_ns)
        self._width.append(info.width)
        self._height.append(info.height)
        self._cut.append(cut)
        self._faces.append(len(detected.faces))
        for face, row in zip(detected.faces, probabilities, strict=True):
            self._add_face(face, row)
        return LabelledFrame(info=info, faces=(), changes=())

    def frames(self) -> FrameTable:
        """Return the recorded frames."""
        return FrameTable(
            index=np.array(self._index, np.int64),
            media_time_ns=np.array(self._media_time_ns, np.int64),
            width=np.array(self._width, np.int32),
            height=np.array(self._height, np.int32),
            cut=np.array(self._cut, np.uint8).astype(np.bool_),
            faces=np.array(self._faces, np.int32),
        )

    def faces(self) -> FaceTable:
        """Return their faces."""
        return FaceTable(
            box=np.array(self._box, np.float64).reshape(-1, 4),
            score=np.array(self._score, np.float64),
            landmarks=np.array(self._landmarks, np.float64).reshape(-1, 10),
            abstained=np.array(self._abstained, np.uint8),
            classified=np.array(self._classified, np.uint8).astype(np.bool_),
            probabilities=np.array(self._probabilities, np.float32).reshape(-1, len(LABELS)),
        )

    def _add_face(self, item: FaceCrop, row: Sequence[float] | None) -> None:
        box = item.face.box
        self._box.extend((box.x, box.y, box.w, box.h))
        self._score.append(item.face.score)
        for point in item.face.landmarks:
            self._landmarks.extend(point)
        self._abstained.append(_CODES[item.abstained])
        self._classified.append(row is not None)
        self._probabilities.extend(_NO_PROBABILITIES if row is None else row)
