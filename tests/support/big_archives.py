"""Results of recordings of any length, made of the frames of one clip again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from ferstream.archive.chunk_file import ChunkResult, FaceTable, FrameTable

Table = TypeVar("Table", FrameTable, FaceTable)


def repeated(result: ChunkResult, times: int, *, frame_ns: int = 40_000_000, first: int = 0) -> Iterator[ChunkResult]:
    """Yield chunks that show the frames of a result again and again, each but the last with the first frame of the next one.

    Args:
        result: The frames.
        times: Number of chunks.
        frame_ns: Media time between two frames.
        first: Number of the first chunk.
    """
    count = len(result.frames.index)
    of_first = int(result.frames.faces[0])
    frames, faces = _with_first(result.frames, 1), _with_first(result.faces, of_first)
    for number in range(first, first + times):
        overlap = int(number < first + times - 1)
        index = np.arange(number * count, number * count + count + overlap, dtype=np.int64)
        own = replace(_cut(frames, count + overlap), index=index, media_time_ns=index * frame_ns)
        own_faces = _cut(faces, len(result.faces.score) + of_first * overlap)
        yield replace(result, chunk=number, frames=own, faces=own_faces, overlap=overlap, decoded=count)


def _with_first(table: Table, rows: int) -> Table:
    """The table with its first rows once more at the end."""
    return replace(table, **{name: np.concatenate([column, column[:rows]]) for name, column in _columns(table).items()})


def _cut(table: Table, rows: int) -> Table:
    return replace(table, **{name: column[:rows] for name, column in _columns(table).items()})


def _columns(table: FrameTable | FaceTable) -> dict[str, Any]:
    return {field.name: getattr(table, field.name) for field in fields(table)}
