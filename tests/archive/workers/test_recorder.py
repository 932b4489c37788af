"""The recorder: what it keeps of frames, in place of a tracker and a labeller."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ferstream.archive.chunk_file import ABSTAINED
from ferstream.archive.plan import WHOLE
from ferstream.archive.workers.recorder import ChunkFacts, Recorder
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import FACE_SIZE_PX, Box, DetectedFrame, Face, FaceCrop
from ferstream.domain.frame import FrameInfo

DARK, LIGHT = np.zeros((9, 16), np.float32), np.full((9, 16), 200, np.float32)
PATTERN = np.tile(np.array([0, 200], np.float32), (9, 8))
CROP = np.zeros((FACE_SIZE_PX, FACE_SIZE_PX), np.uint8)
ROW = [0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1]
FACTS = ChunkFacts(recording=3, chunk=1, end=12, decoded=2, head=("a",), tail=("b",))


def info(index: int) -> FrameInfo:
    """The identity of a frame."""
    return FrameInfo("archive", index, index * 40_000_000, 0, 0, 640, 360, live=False)


def face(x: float, crop: bool = True, abstained: Abstained | None = None) -> FaceCrop:
    """A face at a place."""
    points = ((x, 1.0), (x + 0.1, 2.0), (x + 0.2, 3.0), (x + 0.3, 4.0), (x + 0.4, 5.0))
    return FaceCrop(Face(Box(x, 2.5, 30.25, 40.125), 0.875, points), CROP if crop else None, abstained)


def record(recorder: Recorder, index: int, faces: Sequence[FaceCrop] = (), thumbnail: np.ndarray | None = None) -> None:
    """Pass a frame through the recorder, as the stages do."""
    tracked = recorder.update(DetectedFrame(info(index), tuple(faces), thumbnail))
    labelled = recorder.label(tracked, [None if item.face.crop is None else ROW for item in tracked.faces])
    assert (labelled.info, labelled.faces, labelled.changes) == (info(index), (), ())


def test_every_value_of_frames_and_faces_is_kept() -> None:
    recorder = Recorder()
    record(recorder, 10, [face(5.0), face(1 / 3, crop=False, abstained=Abstained.TURNED)])
    record(recorder, 11)
    result = recorder.result(FACTS)

    assert result.frames.index.tolist() == [10, 11]
    assert result.frames.media_time_ns.tolist() == [400_000_000, 440_000_000]
    assert (result.frames.width.tolist(), result.frames.height.tolist()) == ([640, 640], [360, 360])
    assert result.frames.faces.tolist() == [2, 0]
    assert result.faces.box.tolist() == [[5.0, 2.5, 30.25, 40.125], [1 / 3, 2.5, 30.25, 40.125]]
    assert result.faces.score.tolist() == [0.875, 0.875]
    assert result.faces.landmarks[1].tolist() == [value for point in face(1 / 3).face.landmarks for value in point]
    assert [ABSTAINED[code] for code in result.faces.abstained] == [None, Abstained.TURNED]
    assert result.faces.classified.tolist() == [True, False]
    assert result.faces.probabilities.tolist() == [np.array(ROW, np.float32).tolist(), [0.0] * 7]


def test_frames_from_the_end_on_are_of_the_next_chunk() -> None:
    recorder = Recorder()
    for index in (10, 11, 12, 13):
        record(recorder, index)

    assert recorder.result(FACTS).overlap == 2
    assert recorder.result(replace(FACTS, chunk=WHOLE, end=None)).overlap == 0


def test_what_is_known_beside_the_frames_is_in_the_result() -> None:
    result = Recorder().result(replace(FACTS, lost=4))

    assert (result.recording, result.chunk, result.decoded, result.lost) == (3, 1, 2, 4)
    assert (result.head, result.tail) == (("a",), ("b",))


def test_a_recorder_without_frames_has_empty_tables() -> None:
    result = Recorder().result(FACTS)

    assert (len(result.frames.index), result.faces.box.shape, result.faces.landmarks.shape) == (0, (0, 4), (0, 10))
    assert result.faces.probabilities.shape == (0, 7)


def test_cuts_are_found_between_consecutive_frames() -> None:
    recorder = Recorder()
    for index, thumbnail in enumerate((DARK, PATTERN, PATTERN, None, PATTERN, PATTERN[:, ::-1], LIGHT)):
        record(recorder, index, thumbnail=thumbnail)

    assert recorder.result(FACTS).frames.cut.tolist() == [False, True, False, False, False, True, True]


def test_a_frame_that_only_ends_tracks_is_not_recorded() -> None:
    recorder = Recorder()
    tracked = recorder.update(DetectedFrame(info(1), (face(1.0),)))
    labelled = recorder.label(replace(tracked, faces=(), end_of_stream=True), ())

    assert labelled.end_of_stream
    assert len(recorder.result(FACTS).frames.index) == 0


def test_no_crop_is_kept() -> None:
    recorder = Recorder()
    crop = np.ones((FACE_SIZE_PX, FACE_SIZE_PX), np.uint8)
    kept = weakref.ref(crop)
    record(recorder, 1, [replace(face(1.0), crop=crop)])
    del crop
    gc.collect()

    assert kept() is None
