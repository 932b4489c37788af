"""Whether the results of two consecutive chunks fit together as if both had been read in one piece. Pure."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from ferstream.archive.chunk_file import ChunkResult, FaceTable, FrameTable

_OWN = {"cut"}
"""Columns of frames that a chunk cannot know of its first one."""


def seam_fault(before: ChunkResult, after: ChunkResult) -> str:
    """Return what does not fit between two chunks; empty if all does.

    The pictures behind the first one are those with which the second one begins, and so are the frames that both have: every value of
    them and of their faces is equal, bit by bit.

    Args:
        before: The result of a chunk.
        after: The result of the next chunk.
    """
    shared = min(len(before.tail), len(after.head))
    if not shared or before.tail[:shared] != after.head[:shared]:
        return f"the pictures behind chunk {before.chunk} are not those with which chunk {after.chunk} begins"
    own = len(before.frames.index) - before.overlap
    count = min(before.overlap, len(after.frames.index))
    if not count:
        has_frames = before.overlap or len(after.frames.index)
        return f"chunks {before.chunk} and {after.chunk} have no frame in common" if has_frames else ""
    if not _equal_frames(before.frames, after.frames, own, count):
        return f"the frames behind chunk {before.chunk} are not those with which chunk {after.chunk} begins"
    first = int(before.frames.faces[:own].sum())
    if not _equal_faces(before.faces, after.faces, first, int(after.frames.faces[:count].sum())):
        return f"the faces behind chunk {before.chunk} are not those with which chunk {after.chunk} begins"
    return ""


def _equal_frames(before: FrameTable, after: FrameTable, first: int, count: int) -> bool:
    names = [field.name for field in fields(FrameTable) if field.name not in _OWN]
    return all(np.array_equal(getattr(before, name)[first : first + count], getattr(after, name)[:count]) for name in names)


def _equal_faces(before: FaceTable, after: FaceTable, first: int, count: int) -> bool:
    names = [field.name for field in fields(FaceTable)]
    return all(getattr(before, name)[first : first + count].tobytes() == getattr(after, name)[:count].tobytes() for name in names)
