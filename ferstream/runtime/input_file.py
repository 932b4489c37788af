"""Opens files that a user names, without waiting for what may never come. Any thread."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_OPENED_BY_SHELL = ("dev", "proc")
"""Folders of pipes that a shell has opened: ``/dev/stdin``, ``/dev/fd/63``."""


def open_input(path: Path) -> BinaryIO:
    """Open a file for reading bytes.

    Raises:
        OSError: It cannot be opened, or is a named pipe or socket: opening a pipe waits until somebody writes to it.
    """
    refuse_pipe(path)
    return path.open("rb")


def refuse_pipe(path: Path) -> None:
    """Raise an OSError if the path is a named pipe or a socket; do nothing if it is anything else or cannot be examined."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) and not _opened_by_shell(path):
        raise OSError(
            errno.ESPIPE, "it is a named pipe or socket; write what it gives to a file, or pipe it into /dev/stdin", os.fspath(path)
        )


def _opened_by_shell(path: Path) -> bool:
    return path.is_absolute() and path.parts[1:2] != () and path.parts[1] in _OPENED_BY_SHELL
