"""``done/000123.json``: what came of a recording. It is written when all of its results are there and fit together."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ferstream.archive.storage.store import Store
from ferstream.errors import DataError

FOLDER = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneRecording:
    """A recording that is analysed.

    Attributes:
        files: Names of its results, in order.
        whole: Whether it was read as a whole.
        reason: Why it was; empty if it was not.
        frames: Pictures that were decoded.
        faces: Faces that were found.
        lost: Frames that were damaged or missing.
        seconds: How long the workers of the last run had its tasks, added up.
        size: Bytes of the results.
    """

    files: tuple[str, ...]
    whole: bool
    reason: str
    frames: int
    faces: int
    lost: int
    seconds: float
    size: int


def done_name(recording: int) -> str:
    """Return the name of the file of a recording."""
    return f"{FOLDER}/{recording:06d}.json"


def write_done(store: Store, recording: int, done: DoneRecording) -> None:
    """Write that a recording is analysed.

    Raises:
        OutputError: It cannot be written.
    """
    store.write(done_name(recording), json.dumps(asdict(done)).encode())


def write_failed(store: Store, recording: int, reason: str) -> None:
    """Write that a recording failed.

    Raises:
        OutputError: It cannot be written.
    """
    store.write(done_name(recording), json.dumps({"failed": reason}).encode())


def decode_done(data: bytes, name: str) -> DoneRecording | None:
    """Return what came of a recording; None if it failed.

    Args:
        data: Content of the file.
        name: Its name.

    Raises:
        DataError: The file is damaged.
    """
    try:
        stored = json.loads(data)
        if "failed" in stored:
            return None
        return DoneRecording(**{"size": 0} | stored | {"files": tuple(stored["files"])})
    except (ValueError, KeyError, TypeError) as exc:
        raise DataError(f"{name}: is damaged") from exc


def read_done(store: Store, name: str) -> DoneRecording | None:
    """Return what came of a recording; None if it failed.

    Raises:
        DataError: The file is damaged or does not exist.
        OutputError: It cannot be read.
    """
    try:
        return decode_done(store.read(name), name)
    except FileNotFoundError as exc:
        raise DataError(f"{name}: does not exist") from exc
