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

from ferstream.domain.event import Event, FaceEvent
from ferstream.errors import OutputError
from ferstream.events.encode import Encoder

STDOUT = "-"
BUFFER_BYTES = 1 << 16


class JsonlSink:
    """Writes each face event as one line."""

    def __init__(self, *, path: str, encoder: Encoder, stdout: IO[bytes] | None = None) -> None:
        """``path`` is a file (replaced if it exists) or ``-`` for stdout."""
        self._path, self._encoder = path, encoder
        self._stdout = stdout
        self._file: IO[bytes] | None = None
        self._lines = 0
        self._unread = False
        self._closed = False
        self._failure: str | None = None

    @property
    def lines(self) -> int:
        """Lines written."""
        return self._lines

    @property
    def reader_gone(self) -> bool:
        """True once the reader of stdout closed its end (``| head``); what comes later is thrown away."""
        return self._unread

    @property
    def failure(self) -> OutputError | None:
        """Why the file is not whole, once something could not be written; from then on every ``put`` and ``flush`` raises it."""
        return None if self._failure is None else OutputError(self._failure)

    def open(self) -> None:
        """Open the file.

        Raises:
            OutputError: It cannot be written.
        """
        if self._path == STDOUT:
            self._file = self._stdout or sys.stdout.buffer
            return
        try:
            self._file = Path(self._path).open("wb", buffering=BUFFER_BYTES)  # noqa: SIM115 (closed in close)
        except OSError as exc:
            raise OutputError(f"cannot write events to {self._path}: {exc.strerror}") from exc

    def put(self, event: Event) -> None:
        """Write a face event; others are not for this file.

        Raises:
            OutputError: The disk is full or the file went away; now or at an earlier event.
        """
        self._check()
        if not isinstance(event, FaceEvent) or self._file is None or self._unread:
            return
        line = self._encoder.encode(event).payload + b"\n"
        with self._translated():
            self._file.write(line)
            self._lines += 1

    def flush(self, timeout_s: float) -> int:
        """Hand everything to the system; ``timeout_s`` is not needed. Always 0: what cannot be written raises.

        Raises:
            OutputError: As ``put``.
        """
        self._check()
        if self._file is not None and not self._unread:
            with self._translated():
                self._file.flush()
        return 0

    def close(self) -> None:
        """Flush and close; stdout stays open.

        Raises:
            OutputError: As ``put``; the first time only, so that nobody takes a file that lacks events for a whole one.
        """
        if self._closed:
            return
        self._closed = True
        self._check()
        file = self._file
        if file is not None and not self._unread:
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
        except BrokenPipeError:
            self._unread = True
            if self._stdout is None:
                _silence_stdout()
        except OSError as exc:
            failure = OutputError(f"cannot write events to {self._path}: {exc.strerror}")
            self._give_up(str(failure))
            raise failure from exc

    def _check(self) -> None:
        if (failure := self.failure) is not None:
            raise failure

    def _give_up(self, failure: str) -> None:
        self._failure = failure
        file, self._file = self._file, None
        if file is not None and self._path != STDOUT:
            with contextlib.suppress(OSError):  # its buffer cannot be written either
                file.close()


def _silence_stdout() -> None:
    """Point stdout at nothing, or the interpreter complains of the broken pipe when it exits."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
