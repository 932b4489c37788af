"""The check of a recording whose chunks are all analysed: every file is whole, and every seam fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ferstream.archive.chunk_file import ChunkResult, decode_result
from ferstream.archive.storage.read_ahead import contents
from ferstream.archive.storage.store import Store
from ferstream.errors import DataError

SeamFault = Callable[[ChunkResult, ChunkResult], str]
"""What does not fit between the results of two consecutive chunks; empty if they fit."""


@dataclass(slots=True, kw_only=True)
class Checked:
    """What the check of a recording found.

    Attributes:
        damaged: Chunks whose files are damaged or gone.
        fault: What does not fit at a seam; empty if all fits.
        frames: Pictures that were decoded.
        faces: Faces that were found.
        lost: Frames that were damaged or missing.
        size: Bytes of the files.
    """

    damaged: list[int]
    fault: str = ""
    frames: int = 0
    faces: int = 0
    lost: int = 0
    size: int = 0


def check_results(store: Store, files: Mapping[int, str], seam_fault: SeamFault) -> Checked:
    """Check the results of a recording; a few of them are in memory at a time.

    Args:
        store: Where they are.
        files: Their names by number of chunk, in order.
        seam_fault: Compares two consecutive results.

    Raises:
        OutputError: The store cannot be read.
    """
    checked = Checked(damaged=[])
    before: ChunkResult | None = None
    for chunk, (file, data) in zip(files, contents(store, files.values()), strict=True):
        result = None if data is None else _decoded(data, file, checked)
        if result is None:
            checked.damaged.append(chunk)
        elif before is not None and not checked.fault:
            checked.fault = seam_fault(before, result)
        before = result
    return checked


def _decoded(data: bytes, file: str, checked: Checked) -> ChunkResult | None:
    """Decode a result and add its numbers; None if it is damaged."""
    try:
        result = decode_result(data, file)
    except DataError:
        return None
    own = len(result.frames.index) - result.overlap
    checked.frames += result.decoded
    checked.faces += int(result.frames.faces[:own].sum())
    checked.lost += result.lost
    checked.size += len(data)
    return result
