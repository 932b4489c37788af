"""Standard output and standard error of a command: a closed pipe discards what follows, a full disk is an error of one line.

``ferstream check | head -2`` closes the pipe while checks still run. The command goes on to its end without output, so
that its exit code is right and nothing is cut off in the middle of its work.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ferstream.errors import OutputError


class SafeStream:
    """A text stream that survives a closed pipe and writes any text, whatever its encoding."""

    def __init__(self, stream: TextIO, name: str) -> None:
        """Keep the stream.

        Args:
            stream: The stream to write to.
            name: Its name for messages.
        """
        self._stream = stream
        self._name = name
        self.closed_by_reader = False
        """Whether the reader of the pipe has left."""
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write text; do nothing once the reader has left.

        Raises:
            OutputError: The disk is full, or the stream fails otherwise.
        """
        # The command line library writes "" and b"" to see what kind of stream it has, and ignores the errors.
        if not isinstance(text, str) or text:
            self._guarded(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write texts one after the other; see ``write``."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what is buffered; see ``write``."""
        self._guarded(self._stream.flush)

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BrokenPipeError:
            self.closed_by_reader = True
            discard(self._stream)
        except OSError as exc:
            discard(self._stream)
            raise OutputError(f"cannot write to {self._name}: {exc.strerror or exc}") from exc

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def safe_standard_streams() -> Iterator[None]:
    """Replace stdout and stderr by ``SafeStream``, and flush them at the end.

    Raises:
        OutputError: What was buffered cannot be written.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = SafeStream(before[0], "standard output"), SafeStream(before[1], "standard error")
    try:
        yield
    finally:
        mine = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = before
        for stream in mine:
            stream.flush()


def stdout_closed() -> bool:
    """Whether the reader of stdout has left: nobody sees what is still written."""
    return bool(getattr(sys.stdout, "closed_by_reader", False))


def discard(stream: TextIO) -> None:
    """Redirect a stream to /dev/null, or the interpreter reports the failure again when it exits."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, in tests
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
