"""The recordings that the arguments of ``archive plan`` stand for, in the order in which ``replay`` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ferstream.app.recordings import find_recordings
from ferstream.archive.plan import LeftOut
from ferstream.archive.storage.sources import find_objects
from ferstream.archive.storage.stores import is_remote
from ferstream.capture.file_bytes import STDIN
from ferstream.errors import ConfigError


@dataclass(frozen=True, slots=True)
class FoundSources:
    """What the arguments stand for.

    Attributes:
        paths: Where the recordings are: absolute paths, or URLs of objects.
        left_out: Files of folders and patterns that cannot be read.
    """

    paths: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def find_sources(arguments: Sequence[str], *, leave_out: str) -> FoundSources:
    """Return the recordings that the arguments name.

    Args:
        arguments: Files, which must be readable; folders; patterns; URLs of an object store.
        leave_out: The folder of the archive.

    Raises:
        SourceError: A file that was named cannot be read, or nothing can be.
        ConfigError: A recording can be read only once.
    """
    if str(STDIN) in arguments:
        raise ConfigError("archive reads a recording several times, and stdin can be read only once; write it to a file first")
    paths: list[str] = []
    left_out: list[LeftOut] = []
    for are_urls, group in groupby(arguments, is_remote):
        if are_urls:
            paths += [url for argument in group for url in find_objects(argument, leave_out=[leave_out])]
            continue
        found = find_recordings([Path(argument) for argument in group], leave_out=() if is_remote(leave_out) else (Path(leave_out),))
        pipe = next((recording for recording in found.recordings if recording.info is None), None)
        if pipe is not None:
            raise ConfigError(f"archive reads a recording several times, and {pipe.path} is a pipe; write it to a file first")
        paths += [str(recording.path.absolute()) for recording in found.recordings]
        left_out += [_left_out(str(error)) for error in found.unreadable]
    return FoundSources(tuple(paths), tuple(left_out))


def _left_out(message: str) -> LeftOut:
    """Return the file and the reason in the message of an error, ``FILE: reason``."""
    path, colon, reason = message.partition(": ")
    return LeftOut(path, reason) if colon else LeftOut("", message)
