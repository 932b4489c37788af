"""The plan of an archive: its recordings, the chunks they are cut into, and what decides about every digit of the results.

``plan.json`` has what is known of each recording; the chunks of a recording, with the timestamps of all pictures, are in a file of
its own under ``plan/``, so that nobody needs all of them in memory. Immutable values.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.errors import ConfigError

FORMAT = 1
PLAN = "plan.json"
"""Name of the plan in the folder of the archive."""
WHOLE = -1
"""Number of the chunk that is the whole recording, read from its beginning to its end."""

Timestamps = npt.NDArray[np.int64]
"""(n,) int64: presentation timestamps of pictures in the time base of their stream, increasing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive pictures of a recording, the first of which is a key frame.

    Attributes:
        number: Number of the chunk in its recording, from 0; ``WHOLE`` for all of it.
        first_frame: Number of its first picture in the recording, from 0.
        pts: Timestamps of its pictures, in the order of presentation; empty for ``WHOLE``, whose pictures are not known before.
        overlap: Timestamps of the pictures after it that are decoded too, to compare them with those of the next chunk; empty for
            the last one.
    """

    number: int
    first_frame: int
    pts: Timestamps
    overlap: Timestamps

    @property
    def frames(self) -> int:
        """Number of its pictures; 0 for ``WHOLE``."""
        return len(self.pts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRecording:
    """What is known of one recording.

    Attributes:
        number: Its number in the archive, from 0, in the order of ``replay``.
        path: Where workers find it: an absolute path, or the URL of an object.
        source: Name of the file as in the events, without its folders.
        camera: Name of its camera in the events.
        size: Size of the file in bytes.
        head: SHA-256 of its first 64 KiB, by which a changed file is found.
        utc_origin_ns: UTC of media time 0 in nanoseconds since 1970; 0 where nothing says it.
        frames: Number of pictures; for a recording that is not divided an estimate, or 0 if unknown.
        duration_s: Length in seconds; an estimate for a recording that is not divided.
        chunks: Number of chunks; 1 for a recording that is not divided.
        undivided: Why it is not divided, in plain words; empty if it is.
        origin_pts: Timestamp of its first picture, which has media time 0; 0 for a recording that is not divided.
        time_base: Seconds of a tick, as numerator and denominator.
    """

    number: int
    path: str
    source: str
    camera: str
    size: int
    head: str
    utc_origin_ns: int
    frames: int
    duration_s: float
    chunks: int
    undivided: str = ""
    origin_pts: int = 0
    time_base: tuple[int, int] = (1, 1)

    @property
    def is_divided(self) -> bool:
        """Whether it is read chunk by chunk."""
        return not self.undivided


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not a part of the archive.

    Attributes:
        path: The file.
        reason: Why it cannot be read.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of an archive.

    Attributes:
        recordings: The recordings, in the order of ``replay``.
        left_out: Files of folders and patterns that cannot be read.
        options: Options that decide about the results: ``fps``, ``model``, ``camera``; and ``chunk_s``.
        identity: What decides about every digit: version, model, settings; see ``identity``.
        machine: Precision of the CPU and versions of the libraries of the machine that made the plan; see ``machine``.
        settings: The settings that workers use, as ``Settings.model_dump(mode="json")``.
    """

    recordings: tuple[PlannedRecording, ...]
    left_out: tuple[LeftOut, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        """Number of all chunks."""
        return sum(recording.chunks for recording in self.recordings)


def chunks_name(recording: int) -> str:
    """Return the name of the file with the chunks of a recording, in the folder of the archive."""
    return f"plan/{recording:06d}.json"


def encode_plan(plan: Plan) -> bytes:
    """Return the content of ``plan.json``."""
    return json.dumps({"format": FORMAT} | asdict(plan), indent=1).encode()


def decode_plan(data: bytes, name: str = PLAN) -> Plan:
    """Return the plan of a ``plan.json``.

    Raises:
        ConfigError: It is damaged, or of another version of the format.
    """
    try:
        stored = json.loads(data)
        if stored.pop("format") != FORMAT:
            raise ConfigError(f"{name}: was made by another version of ferstream; plan the archive again in a new folder")
        recordings = tuple(PlannedRecording(**{**item, "time_base": tuple(item["time_base"])}) for item in stored.pop("recordings"))
        left_out = tuple(LeftOut(**item) for item in stored.pop("left_out"))
        return Plan(recordings=recordings, left_out=left_out, **stored)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(f"{name}: is damaged; plan the archive again") from exc


def encode_chunks(chunks: tuple[Chunk, ...]) -> bytes:
    """Return the content of the file with the chunks of one recording."""
    rows = [
        {"number": chunk.number, "first_frame": chunk.first_frame, "pts": _packed(chunk.pts), "overlap": _packed(chunk.overlap)}
        for chunk in chunks
    ]
    return json.dumps({"format": FORMAT, "chunks": rows}).encode()


def decode_chunks(data: bytes, name: str) -> tuple[Chunk, ...]:
    """Return the chunks of one recording.

    Raises:
        ConfigError: The file is damaged.
    """
    try:
        return tuple(
            Chunk(
                number=row["number"],
                first_frame=row["first_frame"],
                pts=_unpacked(row["pts"]),
                overlap=_unpacked(row["overlap"]),
            )
            for row in json.loads(data)["chunks"]
        )
    except (ValueError, KeyError, TypeError, zlib.error) as exc:
        raise ConfigError(f"{name}: is damaged; plan the archive again") from exc


def whole_chunk() -> Chunk:
    """Return the chunk that is a whole recording."""
    none = np.zeros(0, np.int64)
    return Chunk(number=WHOLE, first_frame=0, pts=none, overlap=none)


def _packed(pts: Timestamps) -> str:
    """Return timestamps as text: their differences, compressed. A steady frame rate takes some 30 bytes, whatever the number."""
    steps = np.diff(pts, prepend=np.int64(0)).astype("<i8")
    return base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode()


def _unpacked(text: str) -> Timestamps:
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8")
    return np.cumsum(steps, dtype=np.int64)
