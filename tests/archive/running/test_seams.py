"""Two consecutive chunks: what fits together, and everything that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ferstream.archive.chunk_file import ChunkResult, FaceTable, FrameTable
from ferstream.archive.running.seams import seam_fault
from ferstream.archive.tasks import Task
from tests.support.archives import cut_into_chunks
from tests.support.fake_workers import invented_result

PICTURES = "the pictures behind chunk 0 are not those with which chunk 1 begins"
FRAMES = "the frames behind chunk 0 are not those with which chunk 1 begins"
FACES = "the faces behind chunk 0 are not those with which chunk 1 begins"
NO_FRAME = "chunks 0 and 1 have no frame in common"


def pair() -> tuple[ChunkResult, ChunkResult]:
    """Two chunks of five frames with a face in each."""
    before, after = cut_into_chunks(replace(invented_result(Task(0, 0), 10), chunk=0), [0, 5])
    digests = tuple(f"{number:016x}" for number in range(6))
    return replace(before, head=digests[:3], tail=digests[3:]), replace(after, head=digests[3:], tail=())


def with_frames(result: ChunkResult, name: str, position: int, value: Any) -> ChunkResult:
    """Change one value of a frame."""
    column = getattr(result.frames, name).copy()
    column[position] = value
    return replace(result, frames=replace(result.frames, **{name: column}))


def with_faces(result: ChunkResult, name: str, position: int, value: Any) -> ChunkResult:
    """Change one value of a face."""
    column = getattr(result.faces, name).copy()
    column[position] = value
    return replace(result, faces=replace(result.faces, **{name: column}))


def without_frames(result: ChunkResult) -> ChunkResult:
    """The same chunk, of which no picture was analysed."""
    frames = FrameTable(**{name: getattr(result.frames, name)[:0] for name in FrameTable.__slots__})
    faces = FaceTable(**{name: getattr(result.faces, name)[:0] for name in FaceTable.__slots__})
    return replace(result, frames=frames, faces=faces, overlap=0)


def test_chunks_that_fit() -> None:
    assert seam_fault(*pair()) == ""


def test_whether_the_frame_shows_another_scene_is_not_compared() -> None:
    before, after = pair()

    assert seam_fault(with_frames(before, "cut", -1, True), after) == ""


def test_more_digests_on_one_side_are_not_compared() -> None:
    before, after = pair()

    assert seam_fault(before, replace(after, head=after.head[:2])) == ""
    assert seam_fault(replace(before, tail=before.tail[:1]), after) == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda before, after: (replace(before, tail=(*before.tail[:2], "other")), after),
        lambda before, after: (before, replace(after, head=("other", *after.head[1:]))),
        lambda before, after: (replace(before, tail=()), after),
        lambda before, after: (before, replace(after, head=())),
    ],
    ids=["another tail", "another head", "no tail", "no head"],
)
def test_other_pictures_are_a_fault(change: Callable[[ChunkResult, ChunkResult], tuple[ChunkResult, ChunkResult]]) -> None:
    assert seam_fault(*change(*pair())) == PICTURES


@pytest.mark.parametrize("name", ["index", "media_time_ns", "width", "height", "faces"])
def test_every_value_of_the_common_frame_is_compared(name: str) -> None:
    before, after = pair()

    assert seam_fault(with_frames(before, name, -1, 77), after) == FRAMES
    assert seam_fault(before, with_frames(after, name, 0, 77)) == FRAMES


@pytest.mark.parametrize("name", FaceTable.__slots__)
def test_every_value_of_its_faces_is_compared(name: str) -> None:
    before, after = pair()

    assert seam_fault(with_faces(before, name, -1, 1), after) == FACES
    assert seam_fault(before, with_faces(after, name, 0, 1)) == FACES


def test_values_that_are_equal_but_not_bit_by_bit_are_a_fault() -> None:
    before, after = pair()

    assert seam_fault(with_faces(before, "score", -1, -0.0), with_faces(after, "score", 0, 0.0)) == FACES


def test_values_of_other_frames_do_not_matter() -> None:
    before, after = pair()

    assert seam_fault(with_frames(before, "width", 0, 77), with_faces(after, "score", 2, 0.25)) == ""


def test_several_common_frames_are_compared() -> None:
    before, after = pair()
    longer = invented_result_with(before, frames=2)

    assert seam_fault(longer, after) == ""
    assert seam_fault(with_frames(longer, "width", -1, 77), after) == FRAMES
    assert seam_fault(with_faces(longer, "score", -2, 0.75), after) == FACES


def invented_result_with(before: ChunkResult, *, frames: int) -> ChunkResult:
    """A chunk that has so many frames in common with the next one."""
    index = np.arange(5 + frames, dtype=np.int64)
    ones = np.ones(len(index), np.int32)
    table = FrameTable(index=index, media_time_ns=index * 40, width=ones, height=ones, cut=ones < 0, faces=ones)
    columns = {name: getattr(before.faces, name) for name in FaceTable.__slots__}
    faces = FaceTable(**{name: np.concatenate([column, column[: frames - 1]]) for name, column in columns.items()})
    return replace(before, frames=table, faces=faces, overlap=frames)


def test_chunks_without_a_common_frame_are_a_fault() -> None:
    before, after = pair()

    assert seam_fault(without_frames(before), after) == NO_FRAME
    assert seam_fault(before, without_frames(after)) == NO_FRAME


def test_two_chunks_without_frames_fit() -> None:
    before, after = pair()

    assert seam_fault(without_frames(before), without_frames(after)) == ""
