"""Wakes a thread that waits for sockets."""

from __future__ import annotations

import os
import threading


class Wake:
    """Wakes a thread that polls sockets; any thread may call ``set``."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._lock = threading.Lock()
        self._is_set = False
        self._closed = False

    def fileno(self) -> int:
        """Readable while set."""
        return self._read

    def set(self) -> None:
        """Wake."""
        with self._lock:  # flag and pipe change together, or clear would read a pipe that is still empty
            if not self._is_set and not self._closed:
                self._is_set = True
                os.write(self._write, b".")

    def clear(self) -> None:
        """Forget; look for work after this call, not before."""
        with self._lock:
            if self._is_set:
                os.read(self._read, 64)
                self._is_set = False

    def close(self) -> None:
        """Release the pipe."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._read)
                os.close(self._write)
