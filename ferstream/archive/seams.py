"""Whether two consecutive chunks fit together.

A chunk reads on into the next one. There it has decoded with all pictures before, and the next one from a key frame on its own. If a
key frame is none (a stream whose pictures refer to those before it, or a damaged one), the pictures differ, and so do the faces.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from ferstream.archive.chunk_file import ChunkResult, FaceTable, FrameTable


def seam_fault(before: ChunkResult, after: ChunkResult) -> str:
    """Return what does not fit between the results of two consecutive chunks, in plain words; empty if they fit.

    Args:
        before: The result of a chunk.
        after: That of the next one.
    """
    where = f"between chunks {before.chunk} and {after.chunk}"
    compared = min(len(before.tail), len(after.head))
    if not compared:
        return f"no picture was compared {where}"
    if before.tail[:compared] != after.head[:compared]:
        return f"pictures differ {where}: a key frame needs pictures before it"
    own = len(before.frames.index) - before.overlap
    for field in fields(FrameTable):
        name = field.name
        values, expected = getattr(before.frames, name)[own:], getattr(after.frames, name)[: before.overlap]
        if name != "cut" and not np.array_equal(values, expected):  # the first frame of a chunk does not know the picture before
            return f"{name} of frames differs {where}"
    first, count = int(before.frames.faces[:own].sum()), int(before.frames.faces[own:].sum())
    for field in fields(FaceTable):
        values, expected = getattr(before.faces, field.name)[first:], getattr(after.faces, field.name)[:count]
        if values.tobytes() != expected.tobytes():
            return f"{field.name} of faces differs {where}"
    return ""
