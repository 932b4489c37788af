"""Streams over HTTP for libav: every connection is made here, so that ferstream's rules for hosts, TLS and sizes hold.

libav calls ``HttpInput.open_url`` for the stream and for each playlist, segment and key that it names. Errors that end the
stream are raised as they are: PyAV hands exceptions through libav.
"""

from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus

from ferstream.capture.host_guard import Address
from ferstream.capture.http_session import HttpSession, Reply
from ferstream.errors import SourceError, SourceFormatError, SourceRedirectError

MAX_PLAYLIST_BYTES = 1_000_000
"""A longer playlist is an error."""
_PLAYLIST = b"#EXTM3U"
_DEMUXERS = {
    "multipart/x-mixed-replace": "mpjpeg",
    "application/vnd.apple.mpegurl": "hls",
    "application/x-mpegurl": "hls",
    "audio/mpegurl": "hls",
    "audio/x-mpegurl": "hls",
}
"""Formats that libav recognises by the media type only, not by the content in all cases."""


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
        self._playlist_bytes_left: int | None = None
        self._length = 0
        self._closed = threading.Event()

    def request(self) -> None:
        """Connect at the present position and read the header of the response."""
        reply, self._address = self._session.get(self._address, self._byte_range())
        self._reply = reply
        headers = reply.response.headers
        if reply.response.status == HTTPStatus.OK and headers.get("Accept-Ranges", "").lower() == "bytes":
            self._length = reply.response.length or 0

    @property
    def media_type(self) -> str:
        """Media type of the response, without parameters; empty before ``request``."""
        return "" if self._reply is None else self._reply.response.headers.get_content_type()

    @property
    def url(self) -> str:
        """URL of the body; after ``request`` that of its last redirect."""
        return self._address.url

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; empty at the end, and after ``abort``."""
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
        self._position += len(data)
        self._session.count_bytes(len(data))
        if self._is_first_read and data.startswith(_PLAYLIST):
            self._playlist_bytes_left = MAX_PLAYLIST_BYTES
        self._is_first_read = False
        if self._playlist_bytes_left is not None:
            self._playlist_bytes_left -= len(data)
            if self._playlist_bytes_left < 0:
                raise SourceFormatError(f"{self._session.name}: a playlist is longer than {MAX_PLAYLIST_BYTES // 1000} kB")

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


class HttpInput:
    """The connections of one stream. One thread opens and reads, any thread may close."""

    def __init__(self, session: HttpSession) -> None:
        """Set up; nothing is connected yet.

        Args:
            session: Makes the requests.
        """
        self._session = session
        self._first: HttpBody | None = None
        self._url = session.guard.configured.url
        self._bodies: set[HttpBody] = set()
        self._lock = threading.Lock()
        self._closed = False

    def open(self) -> str | None:
        """Connect and read the header of the response; return libav's name of the format that it announces, None if unclear.

        Raises:
            SourceError: The server cannot be reached, refuses, or leads to an address that is not followed.
        """
        self._first = self._new_body(self._session.guard.configured)
        self._first.request()
        self._url = self._first.url
        return _DEMUXERS.get(self._first.media_type)

    @property
    def url(self) -> str:
        """URL of the stream after redirects, without user name and password."""
        return self._url

    def open_url(self, url: str, flags: int, options: Mapping[str, str]) -> HttpBody | EmptyBody:
        """Open what libav asks for: the stream itself, or a URL of a playlist.

        Args:
            url: Absolute URL.
            flags: libav's flags of opening; not used.
            options: libav's options; ``offset`` and ``end_offset`` in bytes are used.

        Returns:
            The body. It is empty where a URL of a playlist cannot be read: libav goes on with the next one.

        Raises:
            SourceError: The URL is refused, or there are too many of them.
        """
        first, self._first = self._first, None
        if first is not None:
            return first
        if url.startswith("crypto"):
            raise SourceFormatError(f"{self._session.name}: encrypted playlists are not supported")
        address = self._session.guard.follow(self._session.guard.configured, url)
        body = self._new_body(address, start=int(options.get("offset", 0)), end=int(options.get("end_offset", 0)))
        try:
            body.request()
        except SourceError as exc:
            body.close()
            if isinstance(exc, SourceRedirectError | SourceFormatError):
                raise
            return EmptyBody()
        return body

    def close(self) -> None:
        """Abort every connection. Any thread, more than once."""
        with self._lock:
            self._closed = True
            bodies = tuple(self._bodies)
        for body in bodies:
            body.abort()

    def release(self) -> None:
        """Close what libav did not close; the reading thread, after the container was closed."""
        with self._lock:
            bodies = tuple(self._bodies)
        for body in bodies:
            body.close()

    def _new_body(self, address: Address, *, start: int = 0, end: int = 0) -> HttpBody:
        body = HttpBody(self._session, address, on_closed=self._forget, start=start, end=end)
        with self._lock:
            self._bodies.add(body)
            if self._closed:
                body.abort()
        return body

    def _forget(self, body: HttpBody) -> None:
        with self._lock:
            self._bodies.discard(body)
