"""Output files of commands: checked before long work, and file system errors reported in one line."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferstream.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate errors of the file system while ``path``, or files in it, are written.

    Raises:
        OutputError: A file cannot be written. The message names the file that the system named, else ``path``.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{error.filename or path}: cannot be written: {error.strerror or error}") from error


def make_private(path: Path) -> Path:
    """Create a file that only its owner may read, or take those rights from others if it exists; return the path.

    Anything but a regular file (``/dev/stdout``) is left as it is.

    Raises:
        OutputError: The file cannot be written.
    """
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    return path


def check_folder(folder: Path) -> None:
    """Make a folder where it is missing, and check that files can be written in it.

    Raises:
        OutputError: The folder cannot be made or written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:  # writing() would name the temporary file
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def check_file(path: Path) -> None:
    """Check that a file can be written, without changing it; make its folder where it is missing.

    Raises:
        OutputError: The file or its folder cannot be written, or the path is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: is a folder; give a file")
    if path.exists():
        with writing(path), path.open("ab"):
            pass
    else:
        check_folder(path.parent)
