"""The bytes of a recording beside libav: from a file, or from a pipe that is read once.

A pipe is read by Python for libav, so that ``close`` of another thread ends a wait for data, and so that what is known
about its bytes (the first and last of them, their number) is known without reading them twice.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import threading
from pathlib import Path
from typing import Protocol

STDIN = Path("-")
"""The name of the standard input, as on the command line."""
_KEPT = 65_536
"""So many of the first and of the last bytes of a pipe are kept."""


class FileBytes(Protocol):
    """Bytes of a recording by their place."""

    @property
    def size(self) -> int:
        """Number of bytes; of a pipe, those read so far."""
        ...

    def read_at(self, offset: int, count: int) -> bytes:
        """Return at most ``count`` bytes from ``offset``; fewer at the end, and none where a pipe has not kept them."""
        ...


class RegularFile:
    """A file that can be read at any place."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OSError: It cannot be opened.
        """
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        """Return at most ``count`` bytes from ``offset``; fewer at the end and where they cannot be read."""
        try:
            return os.pread(self._fd, count, offset) if 0 <= offset < self.size else b""
        except OSError:
            return b""

    def __enter__(self) -> RegularFile:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        os.close(self._fd)


class PipeReader:
    """A pipe as a file for libav, which calls ``read``. ``close`` may be called by any thread; it ends a waiting ``read``."""

    def __init__(self, path: Path) -> None:
        """Open the pipe; this does not wait for a process that writes into it.

        Args:
            path: A FIFO, a name such as ``/dev/stdin`` or ``/dev/fd/63``, or ``-`` for the standard input.

        Raises:
            OSError: It cannot be opened.
        """
        self._fd = os.dup(stdin_fd()) if path == STDIN else os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._fds: tuple[int, ...] = (self._fd, self._wake_fd)
        self._lock = threading.Lock()
        self._closed = False
        self._head, self._tail = b"", b""
        self.size = 0
        self.waiting = False
        """Whether ``read`` waits for the process that writes."""

    def read(self, count: int) -> bytes:
        """Return the next bytes, at most ``count``; empty at the end and after ``close``."""
        data = b"" if self._closed or not self._wait() else os.read(self._fd, count)
        self.size += len(data)
        if len(self._head) < _KEPT:
            self._head += data[: _KEPT - len(self._head)]
        self._tail = (self._tail + data)[-_KEPT:]
        return data

    def read_at(self, offset: int, count: int) -> bytes:
        """Return bytes that were kept: the first and the last ones that were read."""
        start = offset - (self.size - len(self._tail))
        return self._tail[start : start + count] if start >= 0 else self._head[offset : offset + count]

    def close(self) -> None:
        """End a waiting ``read``, and all later ones."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.eventfd_write(self._wake_fd, 1)

    def release(self) -> None:
        """Close the pipe for good, when no thread is in ``read`` any more; more than once."""
        with self._lock:
            self._closed = True
            fds, self._fds = self._fds, ()
        for fd in fds:
            os.close(fd)

    def __del__(self) -> None:
        """Close the pipe if nobody did."""
        if hasattr(self, "_fds"):
            self.release()

    def _wait(self) -> bool:
        """Wait until there is data or the writers have gone; return False after ``close``.

        A FIFO without a writer is at its end for ``read``, but not for ``poll`` as long as there was none yet.
        """
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake_fd, select.POLLIN)
        self.waiting = True
        poll.poll()
        self.waiting = False
        return not self._closed


def stdin_fd() -> int:
    """Return the file descriptor of the standard input.

    Raises:
        OSError: The process has none.
    """
    if sys.stdin is None:
        raise OSError(errno.EBADF, "there is no standard input")
    return sys.stdin.fileno()


def is_pipe(path: Path) -> bool:
    """Return whether the path can be read only once: a FIFO, the output of a process, a socket, or ``-`` for such an input."""
    try:
        mode = os.fstat(stdin_fd()).st_mode if path == STDIN else path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
