"""The checkpoint of a replay: what an interrupted one was made of and how far it came, beside its results. Main thread.

It is written when a recording is finished and its events are on the disk, and removed when the replay has ended. A replay that goes on
keeps what belongs to finished recordings, cuts off the rest, and must be the same replay: the same recordings, model and options.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ferstream.app.recordings import Recording
from ferstream.errors import ConfigError, OutputError
from ferstream.runtime.printable import printable

FORMAT = 1
_HEAD_BYTES = 1 << 16
_ADVICE = "leave out --resume to begin again"


@dataclass(frozen=True, slots=True)
class FinishedRecording:
    """What is remembered of a recording that was replayed to its end.

    Attributes:
        camera: Name of its camera.
        lost: Frames that were damaged or dropped.
        video: Size of its video in bytes; None without a video.
    """

    camera: str
    lost: int
    video: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay came.

    Attributes:
        finished: The recordings that were replayed to their end, in their order.
        sizes: Bytes of each result that belong to them; see ``FileSinks.sync``.
        tails: Digest of the last of these bytes of each result.
        finishing: Whether all recordings are finished, and the tables may already have their names.
    """

    finished: tuple[FinishedRecording, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    tails: Mapping[str, str] = field(default_factory=dict)
    finishing: bool = False


class Checkpoint:
    """The file with the progress of one replay."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Nothing is read or written yet.

        Args:
            path: The file.
            identity: What the replay is made of, as JSON.
        """
        self._path, self._identity = path, json.loads(json.dumps(identity))
        self.progress = Progress()
        """How far the replay came."""

    def read(self) -> Progress | None:
        """Return how far an earlier process came; None if there was none.

        Raises:
            ConfigError: That process made something else.
            OutputError: The file cannot be read.
        """
        try:
            stored = json.loads(self._path.read_text("utf-8"))
            identity, progress = stored["identity"], stored["progress"]
            finished = tuple(FinishedRecording(**item) for item in progress.pop("finished"))
            self.progress = Progress(finished=finished, **progress)
            if self.progress.sizes.keys() != self.progress.tails.keys():
                raise ValueError("sizes and digests do not belong together")
            changed = _difference(identity, self._identity)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise OutputError(f"--resume: cannot read {self._path}: {exc.strerror}") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ConfigError(f"--resume: {self._path} is damaged; {_ADVICE}") from exc
        if changed:
            raise ConfigError(f"--resume: {changed}; {_ADVICE}")
        return self.progress

    def add(self, finished: FinishedRecording, sizes: Mapping[str, int], files: Mapping[str, Path], *, finishing: bool) -> None:
        """Note that one more recording is finished.

        Args:
            finished: The recording; its events are on the disk.
            sizes: Size of each result.
            files: Where the results are.
            finishing: Whether it was the last one.

        Raises:
            OutputError: The file cannot be written.
        """
        tails = {name: tail_digest(files[name], size) for name, size in sizes.items()}
        self.progress = Progress((*self.progress.finished, finished), dict(sizes), tails, finishing)
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            with part.open("w", encoding="utf-8") as file:
                json.dump({"identity": self._identity, "progress": asdict(self.progress)}, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as exc:
            raise OutputError(f"cannot write the checkpoint {self._path}: {exc.strerror}") from exc

    def remove(self) -> None:
        """Remove the file: the replay has ended, or begins anew."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def check_results(progress: Progress, files: Mapping[str, Path], videos: Mapping[str, Path]) -> None:
    """Check that the results are as an earlier process left them.

    Args:
        progress: How far it came.
        files: Where its results are.
        videos: The video of each recording, by its camera.

    Raises:
        ConfigError: One is missing or another.
    """
    for name, size in progress.sizes.items():
        path = files.get(name)
        if path is not None and tail_digest(path, size) != progress.tails[name]:
            raise ConfigError(f"--resume: {path} is not as the run that is to go on left it; {_ADVICE}")
    for finished in progress.finished:
        video = videos.get(finished.camera)
        if video is not None and (not video.is_file() or video.stat().st_size != finished.video):
            raise ConfigError(f"--resume: {video} is not as the run that is to go on left it; {_ADVICE}")


def tail_digest(path: Path, size: int) -> str:
    """Return the digest of up to 64 KiB before a position of a file; empty if the file cannot be read or is shorter."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, size - _HEAD_BYTES))
            tail = file.read(min(size, _HEAD_BYTES))
    except OSError:
        return ""
    return hashlib.sha256(tail).hexdigest() if len(tail) == min(size, _HEAD_BYTES) else ""


def checkpoint_path(results: Sequence[Path]) -> Path:
    """Return the file of the checkpoint: beside the first result."""
    return results[0].with_name(f"{results[0].name}.resume")


def identity_of_file(recording: Recording) -> dict[str, Any]:
    """Return by what a recording is known again: name, size, time of change, and the digest of its first 64 KiB."""
    status = recording.path.stat()
    with recording.path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    return {
        "path": str(recording.path.absolute()),
        "camera": recording.camera,
        "size": status.st_size,
        "modified": status.st_mtime_ns,
        "head": head,
    }


def _difference(before: Any, now: Mapping[str, Any]) -> str:
    """Return what has changed, for people; empty if nothing has."""
    if not isinstance(before, dict) or before.get("format") != now["format"]:
        return "the checkpoint is of another version of ferstream"
    for before_file, file in zip(before["recordings"], now["recordings"], strict=False):
        if before_file["path"] != file["path"]:
            return f"the recordings are not those of the run that is to go on: {_shown(before_file)} was where {_shown(file)} is now"
        if before_file != file:
            return f"{_shown(file)} has changed since the run that is to go on"
    if len(before["recordings"]) != len(now["recordings"]):
        return f"there are {len(now['recordings'])} recordings, and the run that is to go on had {len(before['recordings'])}"
    return _difference_of_values("", before, now)


def _difference_of_values(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        found = (_difference_of_values(f"{name}.{key}" if name else key, before.get(key), now.get(key)) for key in {**before, **now})
        return next((text for text in found if text), "")
    return "" if before == now else f"{name} is {now} now, and was {before} in the run that is to go on"


def _shown(file: Mapping[str, Any]) -> str:
    return printable(str(file["path"]))
