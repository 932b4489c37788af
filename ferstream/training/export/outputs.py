"""Files that commands write for people: refused before long work where that is cheap, told in one line where it fails later."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferstream.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate what the disk says while ``path`` is written.

    Raises:
        OutputError: It cannot be written; names the file where the system does.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{error.filename or path}: cannot be written: {error.strerror or error}") from error


def check_folder(folder: Path) -> None:
    """Make a folder and try to write into it.

    Raises:
        OutputError: It cannot be made or written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:  # its own message would name the trial file
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def check_file(path: Path) -> None:
    """Make a file's folder and try to write into it; the file itself is not touched.

    Raises:
        OutputError: The folder cannot be written, or the path is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: is a folder; give a file")
    if path.exists():
        with writing(path), path.open("ab"):
            pass
    else:
        check_folder(path.parent)
