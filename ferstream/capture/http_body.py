"""The body of one HTTP response, as a file for libav. The reading thread uses it; any thread may abort it."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from ferstream.capture.host_guard import Address
from ferstream.capture.http_session import HttpSession, Reply
from ferstream.errors import SourceError, SourceFormatError

MAX_PLAYLIST_BYTES = 1_000_000
"""A longer playlist is an error."""
_PLAYLIST = b"#EXTM3U"


def playlist_too_long(name: str) -> SourceFormatError:
    """Return the error of a playlist without a plausible end."""
    return SourceFormatError(f"{name}: a playlist is longer than {MAX_PLAYLIST_BYTES // 1000} kB")


class HttpBody:
    """The body of one response as a file for libav; it can seek where the server answers requests for ranges."""

    def __init__(
        self, session: HttpSession, address: Address, *, on_closed: Callable[[HttpBody], object], start: int = 0, end: int = 0
    ) -> None:
        """Set up; ``request`` connects.

        Args:
            session: Makes the requests.
            address: Address to request.
            on_closed: Method that is called after ``close``; its object is not kept alive.
            start: First byte that is wanted.
            end: The byte after the last that is wanted; 0 = to the end.
        """
        self._session, self._address, self._on_closed = session, address, weakref.WeakMethod(on_closed)
        self._position, self._end = start, end
        self._reply: Reply | None = None
        self._is_first_read = True
        self._ahead = b""  # received by ``peek``, not yet read
        self._requested_ns = 0
        self._playlist_bytes_left: int | None = None
        self._length = 0
        self._closed = threading.Event()

    def request(self) -> None:
        """Connect at the present position and read the header of the response."""
        self._requested_ns = self._session.now_ns()
        reply, self._address = self._session.get(self._address, self._byte_range())
        self._reply = reply
        headers = reply.response.headers
        if reply.response.status == HTTPStatus.OK and headers.get("Accept-Ranges", "").lower() == "bytes":
            self._length = reply.response.length or 0

    def request_again(self, interval_s: float) -> bool:
        """Send the request again for the whole body, ``interval_s`` after the last one; return False if it was aborted."""
        since_s = (self._session.now_ns() - self._requested_ns) / 1e9
        if self._closed.wait(max(0.0, interval_s - since_s)):
            return False
        self._disconnect()
        self._position = self._end = 0
        self.request()
        return True

    @property
    def media_type(self) -> str:
        """Media type of the response in lower case, without parameters; empty if the server names none, and before ``request``."""
        stated = "" if self._reply is None else str(self._reply.response.headers.get("Content-Type", ""))
        return stated.partition(";")[0].strip().lower()

    @property
    def address(self) -> Address:
        """Address of the body; after ``request`` that of its last redirect."""
        return self._address

    def peek(self, size: int) -> bytes:
        """Return the first ``size`` bytes without reading them, fewer where the body is shorter."""
        while len(self._ahead) < size and (data := self._receive(size - len(self._ahead))):
            self._ahead += data
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; empty at the end, and after ``abort``."""
        if self._ahead and not self._closed.is_set():
            data, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            data = self._receive(size)
        self._position += len(data)
        return data

    def _receive(self, size: int) -> bytes:
        """Receive the next bytes, connecting first where that is needed."""
        if self._closed.is_set():
            return b""
        if self._reply is None:
            self.request()
        try:
            data = self._received(size)
        except SourceError:
            if self._closed.is_set():
                return b""
            raise
        self._count(data)
        return data

    def _received(self, size: int) -> bytes:
        reply = self._reply
        if reply is None:
            return b""
        with self._session.translated():
            return reply.response.read1(size)

    def _count(self, data: bytes) -> None:
        self._session.count_bytes(len(data))
        if self._is_first_read and data.startswith(_PLAYLIST):
            self._playlist_bytes_left = MAX_PLAYLIST_BYTES
        self._is_first_read = False
        if self._playlist_bytes_left is not None:
            self._playlist_bytes_left -= len(data)
            if self._playlist_bytes_left < 0:
                raise playlist_too_long(self._session.name)

    def seekable(self) -> bool:
        """Whether the server answers requests for ranges of this body and told its length."""
        return self._length > 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Continue reading at another position, with a new request; return the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        if base + offset != self._position:
            self._disconnect()
            self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def close(self) -> None:
        """Close the connection for good; the reading thread only."""
        self._disconnect()
        on_closed = self._on_closed()
        if on_closed is not None:
            on_closed(self)

    def _disconnect(self) -> None:
        self._ahead = b""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.close()

    def abort(self) -> None:
        """Let a read that waits return, and every later one return nothing; any thread."""
        self._closed.set()
        reply = self._reply
        if reply is not None:
            with suppress(OSError):
                socket.socket.shutdown(reply.sock, socket.SHUT_RDWR)  # not SSLSocket's own, which a read does not survive

    def _byte_range(self) -> str | None:
        if not self._position and not self._end:
            return None
        return f"bytes={self._position}-{self._end - 1 if self._end else ''}"


class EmptyBody:
    """The body of a URL that cannot be read."""

    def read(self, size: int) -> bytes:
        """Return nothing."""
        return b""

    def close(self) -> None:
        """Do nothing."""
