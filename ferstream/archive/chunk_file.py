"""The results of one chunk: what was found in its frames, without tracks and labels; and the file that holds them.

A file is a NumPy archive (``.npz``). Its name has the digest of its content, so that a damaged file is found, and two results of the same
chunk that are not equal are too. No pixels are kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.archive.plan import WHOLE
from ferstream.domain.emotion import Abstained
from ferstream.errors import DataError, first_line

FOLDER = "chunks"
ABSTAINED: tuple[Abstained | None, ...] = (None, *Abstained)
"""Reasons to abstain by their code in ``FaceTable.abstained``."""

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTable:
    """The analysed frames of a chunk, n rows, in their order.

    Attributes:
        index: (n,) int64: number of the picture in the recording.
        media_time_ns: (n,) int64.
        width: (n,) int32, pixels.
        height: (n,) int32, pixels.
        cut: (n,) bool: whether the picture shows another scene than the analysed frame before; False for the first of a recording.
        faces: (n,) int32: number of faces.
    """

    index: Int64
    media_time_ns: Int64
    width: Int32
    height: Int32
    cut: Flags
    faces: Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceTable:
    """The faces of a chunk, m rows, in the order of their frames and of ``DetectedFrame.faces``.

    Attributes:
        box: (m, 4) float64: x, y, w, h in source pixels.
        score: (m,) float64, 0..1.
        landmarks: (m, 10) float64: x and y of the five points in source pixels.
        abstained: (m,) uint8: position in ``ABSTAINED``.
        classified: (m,) bool: whether there was a crop.
        probabilities: (m, 7) float32 in LABELS order; 0 where not classified.
    """

    box: Float64
    score: Float64
    landmarks: Float64
    abstained: Bytes
    classified: Flags
    probabilities: Float32


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """What was found in one chunk.

    The last ``overlap`` frames, with their faces, belong to the next chunk, which has them too: they must be equal there.

    Attributes:
        recording: Number of the recording in the plan.
        chunk: Number of the chunk; ``WHOLE`` for all of the recording.
        frames: The analysed frames.
        faces: Their faces.
        overlap: How many of the last frames belong to the next chunk.
        decoded: Pictures that were decoded, without those of the overlap.
        lost: Frames that were damaged or missing, as ``replay`` counts them; 0 unless it is the whole recording.
        head: Digests of the first pictures of the chunk, at full size.
        tail: Digests of the first pictures after the chunk.
    """

    recording: int
    chunk: int
    frames: FrameTable
    faces: FaceTable
    overlap: int = 0
    decoded: int = 0
    lost: int = 0
    head: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()


def result_name(result: ChunkResult) -> str:
    """Return the name of the file of a result."""
    chunk = "whole" if result.chunk == WHOLE else f"{result.chunk:05d}"
    return f"{FOLDER}/{result.recording:06d}-{chunk}-{content_digest(result)[:16]}.npz"


def parse_name(name: str) -> tuple[int, int, str] | None:
    """Return recording, chunk and digest of the name of a file; None for another name."""
    parts = PurePosixPath(name).name.removesuffix(".npz").split("-")
    if not name.endswith(".npz") or len(parts) != 3 or not parts[0].isdigit() or not (parts[1].isdigit() or parts[1] == "whole"):
        return None
    return int(parts[0]), WHOLE if parts[1] == "whole" else int(parts[1]), parts[2]


def content_digest(result: ChunkResult) -> str:
    """Return the SHA-256 of everything in a result, in hexadecimal."""
    digest = hashlib.sha256(json.dumps(_meta(result), sort_keys=True).encode())
    for name, array in sorted(_arrays(result).items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def encode_result(result: ChunkResult) -> bytes:
    """Return the content of the file of a result."""
    meta = np.frombuffer(json.dumps(_meta(result), sort_keys=True).encode(), np.uint8)
    with io.BytesIO() as file:
        np.savez_compressed(file, allow_pickle=False, meta=meta, **_arrays(result))
        return file.getvalue()


def decode_result(data: bytes, name: str) -> ChunkResult:
    """Return the result in a file.

    Args:
        data: Its content.
        name: Its name, which has the digest.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        meta: dict[str, Any] = json.loads(arrays.pop("meta").tobytes())
        meta |= {"head": tuple(meta["head"]), "tail": tuple(meta["tail"])}
        frames = FrameTable(**{field.name: arrays[f"frame_{field.name}"] for field in fields(FrameTable)})
        faces = FaceTable(**{field.name: arrays[f"face_{field.name}"] for field in fields(FaceTable)})
        result = ChunkResult(frames=frames, faces=faces, **meta)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as exc:
        raise DataError(f"{name}: is damaged ({first_line(exc)})") from exc
    if result_name(result) != name:
        raise DataError(f"{name}: its content is not that of its name")
    return result


def _meta(result: ChunkResult) -> dict[str, Any]:
    return {field.name: getattr(result, field.name) for field in fields(ChunkResult) if field.name not in {"frames", "faces"}}


def _arrays(result: ChunkResult) -> dict[str, npt.NDArray[Any]]:
    frames = {f"frame_{name}": array for name, array in _columns(result.frames)}
    return frames | {f"face_{name}": array for name, array in _columns(result.faces)}


def _columns(table: FrameTable | FaceTable) -> list[tuple[str, npt.NDArray[Any]]]:
    return [(field.name, getattr(table, field.name)) for field in fields(table)]
