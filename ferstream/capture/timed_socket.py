"""A socket for ``http.client`` whose every wait has a time limit of its own.

The time limit of a plain socket begins anew with every byte, so that a server that sends one byte now and then would keep
``http.client`` waiting for the end of a header.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, time_left_s: Callable[[], float]) -> None:
        self._sock, self._time_left_s = sock, time_left_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._time_left_s())
        return self._sock.recv_into(buffer)


class TimedSocket:
    """The methods of a socket that ``http.client`` uses.

    Args:
        sock: The connected socket; its owner closes it.
        time_left_s: Returns how long the next wait may take, in seconds; may raise.
    """

    def __init__(self, sock: socket.socket, time_left_s: Callable[[], float]) -> None:
        self._sock, self._time_left_s = sock, time_left_s

    def sendall(self, data: bytes) -> None:
        """Send all of this."""
        self._sock.settimeout(self._time_left_s())
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader of the socket."""
        return io.BufferedReader(_TimedReader(self._sock, self._time_left_s))

    def close(self) -> None:
        """Do nothing: ``http.client`` closes its connection while the response is still read."""
