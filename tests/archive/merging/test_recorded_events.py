"""Results of chunks as frames: how a recording was cut does not show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.archive.chunk_file import ABSTAINED, ChunkResult, FaceTable, FrameTable
from ferstream.archive.merging.recorded_events import BLOCK_FRAMES, RecordedFrame, recorded_frames
from ferstream.archive.plan import WHOLE
from tests.support.archives import cut_into_chunks, planned

DOOR = planned(0, "door", utc_origin_ns=1_764_000_000_000_000_000)


@st.composite
def recordings(draw: st.DrawFn) -> ChunkResult:
    """The result of a whole recording."""
    counts = draw(st.lists(st.integers(0, 3), min_size=1, max_size=30))
    return recording(counts, seed=draw(st.integers(0, 1000)))


def recording(counts: Sequence[int], *, seed: int) -> ChunkResult:
    """A recording with these numbers of faces in its frames."""
    chance = np.random.default_rng(seed)
    frames, faces = len(counts), sum(counts)
    classified = chance.random(faces) < 0.7
    index = np.cumsum(chance.integers(1, 4, frames)) - 1
    return ChunkResult(
        recording=0,
        chunk=WHOLE,
        frames=FrameTable(
            index=index.astype(np.int64),
            media_time_ns=(index * 40_000_000).astype(np.int64),
            width=chance.integers(16, 4000, frames).astype(np.int32),
            height=chance.integers(16, 4000, frames).astype(np.int32),
            cut=np.concatenate([[False], chance.random(frames - 1) < 0.4]),
            faces=np.array(counts, np.int32),
        ),
        faces=FaceTable(
            box=chance.random((faces, 4)),
            score=chance.random(faces),
            landmarks=chance.random((faces, 10)),
            abstained=chance.integers(0, len(ABSTAINED), faces).astype(np.uint8),
            classified=classified,
            probabilities=(chance.random((faces, 7)) * classified[:, None]).astype(np.float32),
        ),
    )


def plain(frames: Sequence[RecordedFrame]) -> list[Any]:
    """Values that can be compared."""
    return [
        (
            frame.detected.info,
            frame.detected.cut,
            [(face.face, face.abstained, face.crop is None) for face in frame.detected.faces],
            frame.rows.tolist(),
        )
        for frame in frames
    ]


@given(recordings(), st.data())
def test_how_a_recording_was_cut_does_not_show(whole: ChunkResult, data: st.DataObject) -> None:
    positions = data.draw(st.sets(st.integers(1, len(whole.frames.index)), max_size=8))
    starts = [0, *sorted(position for position in positions if position < len(whole.frames.index))]

    chunks = cut_into_chunks(whole, starts)

    assert plain(list(recorded_frames(chunks, DOOR))) == plain(list(recorded_frames([whole], DOOR)))


@given(recordings())
def test_a_frame_has_what_the_tables_have(whole: ChunkResult) -> None:
    frames = list(recorded_frames([whole], DOOR))

    table = whole.faces
    faces = [face for frame in frames for face in frame.detected.faces]
    assert [frame.detected.cut for frame in frames] == whole.frames.cut.tolist()
    assert [len(frame.detected.faces) for frame in frames] == whole.frames.faces.tolist()
    assert [[face.face.box.x, face.face.box.y, face.face.box.w, face.face.box.h] for face in faces] == table.box.tolist()
    assert [[number for point in face.face.landmarks for number in point] for face in faces] == table.landmarks.tolist()
    assert [ABSTAINED.index(face.abstained) for face in faces] == table.abstained.tolist()
    assert [row for frame in frames for row in frame.rows.tolist()] == table.probabilities[table.classified].tolist()
    assert [frame.detected.info.captured_at_ns - DOOR.utc_origin_ns for frame in frames] == whole.frames.media_time_ns.tolist()


@pytest.mark.parametrize("length", [BLOCK_FRAMES - 1, BLOCK_FRAMES, 2 * BLOCK_FRAMES + 1])
def test_a_result_longer_than_a_block_of_frames(length: int) -> None:
    whole = recording([position % 3 for position in range(length)], seed=3)

    frames = list(recorded_frames([whole], DOOR))

    assert len(frames) == length
    faces = [face.face.score for frame in frames for face in frame.detected.faces]
    assert faces == whole.faces.score.tolist()
    assert [row for frame in frames for row in frame.rows.tolist()] == whole.faces.probabilities[whole.faces.classified].tolist()
