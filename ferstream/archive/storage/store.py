"""Where an archive is kept: a folder, or objects of a store such as S3. Names are relative, with ``/`` between their parts."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ferstream.errors import OutputError

PART = ".part"
"""Ending of files that are being written."""


class Store(Protocol):
    """Keeps the files of one archive. Any thread, and several processes at a time."""

    @property
    def where(self) -> str:
        """The folder or URL, for messages and for other processes, which make an equal store of it."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: There is no such file.
            OutputError: It cannot be read.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file, which is there with all of its content or not at all, also after a crash; it replaces one of the same name.

        Raises:
            OutputError: It cannot be written.
        """
        ...

    def put(self, name: str, file: Path) -> None:
        """Move a local file into the archive, as ``write`` does with its content.

        Raises:
            OutputError: It cannot be written.
        """
        ...

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files in a folder, without those that are being written; none if there is no such folder."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        ...


class LocalStore:
    """An archive in a folder of a file system."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read or made yet.

        Args:
            folder: The folder of the archive.
        """
        self.folder = folder

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.folder.absolute())

    def read(self, name: str) -> bytes:
        """Return the content of a file; see ``Store``."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise OutputError(f"cannot read {self.folder / name}: {exc.strerror}") from exc

    def write(self, name: str, data: bytes) -> None:
        """Write a file; see ``Store``."""
        part = self._part(name)
        with self._translated(name), self._removed_if_unfinished(part):
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._rename(part, name)

    def put(self, name: str, file: Path) -> None:
        """Move a file of the same file system into the archive; see ``Store``."""
        with self._translated(name):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
            self._rename(file, name)

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files in a folder; see ``Store``."""
        try:
            entries = os.scandir(self.folder / folder)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise OutputError(f"cannot read {self.folder / folder}: {exc.strerror}") from exc
        with entries:
            for entry in entries:
                if entry.is_file() and not entry.name.endswith(PART):
                    yield f"{folder}/{entry.name}"

    def remove(self, name: str) -> None:
        """Remove a file; see ``Store``."""
        with self._translated(name):
            (self.folder / name).unlink(missing_ok=True)

    def _part(self, name: str) -> Path:
        """Return a new name beside a file, and make its folder."""
        path = self.folder / name
        with self._translated(name):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")

    def _rename(self, part: Path, name: str) -> None:
        path = self.folder / name
        part.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise OutputError(f"cannot write {self.folder / name}: {exc.strerror}") from exc

    @contextlib.contextmanager
    def _removed_if_unfinished(self, part: Path) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
