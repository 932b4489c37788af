"""Face events as JSON lines, to a file or to stdout; called by the publishing thread only.

Only face events are written: a file holds one schema (``ferstream.face/1``), so that any reader
of tables takes it as it is.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from ferstream.errors import OutputError
from ferstream.events.schemas import FACE
from ferstream.runtime.standard_streams import discard

STDOUT = "-"
BUFFER_BYTES = 1 << 16


class JsonlSink:
    """Writes each face event as one line."""

    name = "jsonl"

    def __init__(self, *, path: str, stdout: IO[bytes] | None = None, size: int | None = None) -> None:
        """Nothing is opened yet.

        Args:
            path: A file (replaced if it exists) or ``-`` for stdout.
            stdout: What ``-`` is; None for that of the process.
            size: Bytes of the file that an earlier process left and that are kept; None begins anew.
        """
        self._path, self._size = path, size
        self._stdout = stdout
        self._file: IO[bytes] | None = None
        self._lines = 0
        self._reader_gone = False
        self._closed = False
        self._failure: str | None = None

    @property
    def path(self) -> str:
        """The file, or ``-``."""
        return self._path

    @property
    def lines(self) -> int:
        """Lines written."""
        return self._lines

    @property
    def failure(self) -> OutputError | None:
        """Why the file is incomplete, once something could not be written; every later ``write`` and ``flush`` raises it."""
        return None if self._failure is None else OutputError(self._failure)

    def status(self) -> SinkStatus:
        """Return why the file is incomplete, if it is."""
        return SinkStatus(self.name, None, self._failure or "")

    def open(self) -> None:
        """Open the file.

        Raises:
            OutputError: It cannot be written.
        """
        if self._path == STDOUT:
            self._file = self._stdout or sys.stdout.buffer
            return
        try:
            self._file = Path(self._path).open("wb" if self._size is None else "r+b", buffering=BUFFER_BYTES)  # noqa: SIM115 (closed in close)
            if self._size is not None:
                self._file.truncate(self._size)
                self._file.seek(self._size)
        except OSError as exc:
            raise OutputError(f"cannot write events to {self._path}: {exc.strerror}") from exc

    def write(self, message: Message) -> None:
        """Write a face event; other messages are ignored.

        Raises:
            OutputError: The disk is full or the file went away, now or at an earlier event.
        """
        self._check()
        if message.schema != FACE or self._file is None or self._reader_gone:
            return
        with self._translated():
            self._file.write(message.payload + b"\n")
            self._lines += 1

    def flush(self, timeout_s: float) -> int:
        """Hand everything to the system; always 0, because what cannot be written raises. ``timeout_s`` is not used.

        Raises:
            OutputError: As ``write``.
        """
        self._check()
        if self._file is not None and not self._reader_gone:
            with self._translated():
                self._file.flush()
        return 0

    def sync(self) -> int:
        """Have everything on the disk; return the size of the file in bytes, with which a later sink can go on.

        Raises:
            OutputError: As ``write``.
        """
        self.flush(0)
        assert self._file is not None
        with self._translated():
            os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Flush and close; stdout stays open.

        Raises:
            OutputError: As ``write``, by the first call only: the file is incomplete.
        """
        if self._closed:
            return
        self._closed = True
        self._check()
        file = self._file
        if file is not None and not self._reader_gone:
            with self._translated():
                if self._path == STDOUT:
                    file.flush()
                else:
                    file.close()
        self._file = None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader of stdout left (``| head``): what follows is discarded
            self._reader_gone = True
            if self._stdout is None:
                discard(sys.stdout)
        except OSError as exc:
            failure = OutputError(f"cannot write events to {self._path}: {exc.strerror}")
            self._abandon(str(failure))
            raise failure from exc

    def _check(self) -> None:
        if (failure := self.failure) is not None:
            raise failure

    def _abandon(self, failure: str) -> None:
        self._failure = failure
        file, self._file = self._file, None
        if file is not None and self._path != STDOUT:
            with contextlib.suppress(OSError):  # its buffer cannot be written either
                file.close()
