"""Which recordings ``replay`` reads: files, folders with everything below them, and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferstream.app.recording_names import camera_name, camera_names
from ferstream.capture.file_bytes import STDIN, is_pipe
from ferstream.capture.recording import FileSource
from ferstream.capture.source import SourceInfo
from ferstream.errors import SourceError
from ferstream.runtime.counters import Counters

_ENDINGS = """
264 265 3g2 3gp 3gpp amv apng asf av1 avi dav divx dv evo f4v flv gif h261 h263 h264 h265 hevc ivf m1v m2p m2t m2ts m2v m4v mjpeg mjpg mkv
mod mov mp4 mpe mpeg mpg mpv mts mxf nut obu ogm ogv qt rm rmvb roq swf tod tp trp ts vob webm wmv wtv y4m
"""
ENDINGS = frozenset(_ENDINGS.split())
"""Endings of the names of recordings, by which they are found in folders."""
_WILD = "*?["


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to replay.

    Attributes:
        path: The file; ``-`` is the standard input.
        camera: Name of its camera in the events.
        info: Its format; None for a pipe, which is opened once.
    """

    path: Path
    camera: str
    info: SourceInfo | None


@dataclass(frozen=True, slots=True)
class FoundRecordings:
    """What the arguments of ``replay`` stand for.

    Attributes:
        recordings: The recordings, in the order in which they are replayed.
        unreadable: Why files of folders and patterns are left out.
    """

    recordings: tuple[Recording, ...]
    unreadable: tuple[SourceError, ...]


def find_recordings(arguments: Sequence[Path], *, leave_out: Sequence[Path] = ()) -> FoundRecordings:
    """Return the recordings that the arguments name, opened once to see that they can be read.

    Args:
        arguments: Files, which must be readable; folders; patterns such as ``clips/*.mp4``, where ``**`` stands for folders.
        leave_out: Files and folders of results, which are not taken from folders and patterns.

    Raises:
        SourceError: A file that was named cannot be read, or nothing can be.
    """
    paths: list[Path] = []
    infos: list[SourceInfo | None] = []
    unreadable: list[SourceError] = []
    for path, is_named in _expanded(arguments, {real(path) for path in leave_out}):
        try:
            infos.append(None if is_named and is_pipe(path) else probe(path))
        except SourceError as exc:
            if is_named:
                raise
            unreadable.append(exc)
        else:
            paths.append(path)
    if not paths:
        raise unreadable[0] if len(unreadable) == 1 else SourceError(f"none of {len(unreadable)} files can be read: {unreadable[0]}")
    recordings = zip(paths, camera_names(paths), infos, strict=True)
    return FoundRecordings(tuple(Recording(path, camera, info) for path, camera, info in recordings), tuple(unreadable))


def probe(path: Path) -> SourceInfo:
    """Open a recording and close it again.

    Raises:
        SourceError: It cannot be read, or only once.
    """
    if is_pipe(path):
        raise SourceError(f"{path}: is a pipe, which can be read only once; write it to a file first")
    source = FileSource(path=path, camera=camera_name(path), observer=Counters())
    try:
        return source.open()
    finally:
        source.close()


def real(path: Path) -> Path:
    """Return the absolute path of a file without symbolic links, as far as it exists."""
    return Path(os.path.realpath(path))


def _expanded(arguments: Sequence[Path], leave_out: set[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each recording, and whether it was named itself. What folders and patterns give twice comes once."""
    seen: set[Path] = set()
    for argument in arguments:
        found = _found_by(argument)
        if found is None:
            yield argument, True
            continue
        new = [path for path in found if not _is_left_out(real(path), leave_out)]
        if not new:
            raise SourceError(f"{argument}: holds no recording; names of recordings end in .mp4, .mov, .mkv, .avi, .webm, .ts, ...")
        for path in new:
            if real(path) not in seen:
                seen.add(real(path))
                yield path, False


def _found_by(argument: Path) -> list[Path] | None:
    """Return the recordings of a folder or pattern in their order; None for the name of a file."""
    if argument == STDIN or (argument.exists() and not argument.is_dir()):
        return None
    if argument.is_dir():
        return list(_below(argument, set()))
    if not any(sign in str(argument) for sign in _WILD):
        return None
    matches = [Path(match) for match in sorted(glob.glob(str(argument.expanduser()), recursive=True))]  # noqa: PTH207 (takes absolute patterns)
    if not matches:
        raise SourceError(f"{argument}: no file matches this pattern")
    return [path for match in matches for path in (_below(match, set()) if match.is_dir() else (match,))]


def _below(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the recordings of a folder and of those in it, by name; a link that leads back to a folder above is not followed.

    Raises:
        SourceError: A folder cannot be read.
    """
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError as exc:
        raise SourceError(f"{folder}: this folder cannot be read ({exc.strerror})") from exc
    here = above | {(status.st_dev, status.st_ino)}
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            inner = entry.stat()
            if (inner.st_dev, inner.st_ino) not in here:
                yield from _below(entry, here)
        elif entry.suffix.lower().removeprefix(".") in ENDINGS:
            yield entry


def _is_left_out(path: Path, leave_out: set[Path]) -> bool:
    return path in leave_out or any(parent in leave_out for parent in path.parents)
