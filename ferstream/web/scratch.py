"""Files of an upload: without a name, so that the system deletes them with the last process that uses them, however it ends."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from ferstream.errors import OutputError
from ferstream.runtime.printable import printable

RESERVE_BYTES = 256 << 20
"""Space that uploads leave free on the disk of the scratch folder: the outbox may be on the same."""


def free_bytes(folder: Path) -> int:
    """Return the space that a user who is not root may still use on the disk of a folder, in bytes."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Scratch:
    """A private folder for files that have no name.

    The files are made without a name where the file system can do it (``O_TMPFILE``), else their name is removed at once.
    So nothing is left of them after a SIGKILL or a loss of power, and other users never see them.

    Args:
        folder: The folder; made with mode 700 by the first file.
        reserve_bytes: Space that must stay free on its disk.
        free: Returns the free space of a folder in bytes.
    """

    def __init__(self, folder: Path, *, reserve_bytes: int = RESERVE_BYTES, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder, self._reserve, self._free = folder, reserve_bytes, free

    def check_space(self, wanted: int = 0) -> None:
        """Check that there is room for so many more bytes.

        Raises:
            OutputError: There is not, or the folder cannot be used.
        """
        self._make_folder()
        try:
            free = self._free(self._folder)
        except OSError as exc:
            raise OutputError(f"the scratch folder {printable(self._folder)} cannot be used: {exc.strerror}") from exc
        missing = wanted + self._reserve - free
        if missing > 0:
            raise OutputError(
                f"the disk of {printable(self._folder)} is too full: {_size(wanted)} and {_size(self._reserve)} in reserve are needed, "
                f"{_size(free)} are free; free at least {_size(missing)}"
            )

    def new_file(self) -> BinaryIO:
        """Make an empty file that is deleted when it is closed.

        Raises:
            OutputError: The folder cannot be used.
        """
        self._make_folder()
        try:
            return cast("BinaryIO", tempfile.TemporaryFile(dir=self._folder, buffering=0))
        except OSError as exc:
            raise OutputError(f"the scratch folder {printable(self._folder)} cannot be used: {exc.strerror}") from exc

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise OutputError(f"the scratch folder {printable(self._folder)} is not a folder of this user; remove it")
            if stat.S_IMODE(found.st_mode) != 0o700:
                self._folder.chmod(0o700)
        except OSError as exc:
            raise OutputError(f"the scratch folder {printable(self._folder)} cannot be made: {exc.strerror}") from exc

    def remove_leftovers(self) -> None:
        """Delete files with a name: on a file system without ``O_TMPFILE`` a process may have been killed before it removed one."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                path.unlink()


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(0, count) / 1e6:.0f} MB"
