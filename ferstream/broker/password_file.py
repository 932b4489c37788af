"""The file that holds the password of the embedded broker, for the user who runs ferstream and for root."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from pathlib import Path

_LOG = logging.getLogger(__name__)


def password_path(directory: Path, port: int) -> Path:
    """Return where the password of the broker on this port is kept."""
    return directory / f"broker-{port}.password"


class PasswordFile:
    """A file with mode 0600 that lives as long as its password is valid."""

    def __init__(self, directory: Path | None) -> None:
        """Prepare; ``write`` makes the file, in a new private folder if ``directory`` is None or cannot be written."""
        self._wanted = directory
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._path: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file; None before ``write``, and if no file could be written."""
        return self._path

    def write(self, port: int, password: str) -> None:
        """Write the file; a disk that cannot be written is logged, and the broker works all the same."""
        try:
            self._path = self._write_wanted(port, password) or self._write(self._private_folder(), port, password)
        except OSError as exc:
            _LOG.warning("the password of the embedded broker could not be written to a file: %s", (exc.strerror or str(exc)).lower())

    def remove(self) -> None:
        """Delete the file; more than one call is allowed."""
        path, self._path = self._path, None
        with contextlib.suppress(OSError):
            if path is not None:
                path.unlink(missing_ok=True)
        own, self._own = self._own, None
        with contextlib.suppress(OSError):
            if own is not None:
                own.cleanup()

    def _write_wanted(self, port: int, password: str) -> Path | None:
        if self._wanted is None:
            return None
        try:
            return self._write(self._wanted, port, password)
        except OSError:
            return None

    def _private_folder(self) -> Path:
        self._own = tempfile.TemporaryDirectory(prefix="ferstream-")  # mode 0700
        return Path(self._own.name)

    @staticmethod
    def _write(directory: Path, port: int, password: str) -> Path:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = password_path(directory, port)
        # A new file that is renamed: an older file, or a link that somebody put there, is replaced and never written to.
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=f".{path.name}-")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(f"{password}\n")
            Path(name).rename(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return path
