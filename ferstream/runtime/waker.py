"""Wakes a thread that waits for sockets."""

from __future__ import annotations

import os
import threading


class Waker:
    """A pipe that becomes readable: wakes a thread that polls sockets. Any thread may call ``set``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._closed = True
        self._read, self._write = os.pipe()
        self._closed = False
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def __del__(self) -> None:
        """Close the pipe of a sink that was never opened or closed."""
        self.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable while the waker is set."""
        return self._read

    def set(self) -> None:
        """Wake the thread; one call is enough for any number of events."""
        with self._lock:  # flag and pipe change together, or clear would read a pipe that is still empty
            if not self._is_set and not self._closed:
                self._is_set = True
                os.write(self._write, b".")

    def clear(self) -> None:
        """Reset; the thread looks for work after this call, so that no later ``set`` is missed."""
        with self._lock:
            if self._is_set:
                os.read(self._read, 64)
                self._is_set = False

    def close(self) -> None:
        """Close the pipe; more than one call is allowed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._read)
                os.close(self._write)
