"""Streams over HTTP for libav: every connection is made here, so that ferstream's rules for hosts, TLS and sizes hold.

libav calls ``HttpInput.open_url`` for the stream and for each playlist, segment and key that it names. Only ``http`` and
``https`` are opened, and with ``crypto+`` in front of them what a playlist encrypts; a playlist reaches no file and no
other protocol. Errors that end the stream are raised as they are: PyAV hands exceptions through libav.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from ferstream.capture import hls, jpeg_stream
from ferstream.capture.decryption import DecryptedBody
from ferstream.capture.hls import Variant
from ferstream.capture.host_guard import Address
from ferstream.capture.http_body import MAX_PLAYLIST_BYTES, EmptyBody, HttpBody, playlist_too_long
from ferstream.capture.http_content import HEAD_BYTES, Content, content_of
from ferstream.capture.http_session import HttpSession
from ferstream.capture.jpeg_stream import JpegStream
from ferstream.capture.source_errors import other_protocol
from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceRedirectError

MAX_NESTED_PLAYLISTS = 3
"""So many master playlists that lead to each other are read."""
_ENCRYPTED = ("crypto+", "crypto:")
_File = HttpBody | JpegStream | DecryptedBody | EmptyBody


class HttpInput:
    """The connections of one stream. One thread opens and reads, any thread may close."""

    def __init__(self, session: HttpSession, *, max_pixels: int, snapshot_interval_s: float) -> None:
        """Set up; nothing is connected yet.

        Args:
            session: Makes the requests.
            max_pixels: Width times height of the largest picture; larger variants of a playlist are not taken.
            snapshot_interval_s: Seconds from one request to the next where each answer is one JPEG picture.
        """
        self._session, self._max_pixels, self._snapshot_interval_s = session, max_pixels, snapshot_interval_s
        self._first: HttpBody | JpegStream | None = None
        self._address = session.guard.configured
        self._bodies: set[HttpBody] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.failure: SourceError | None = None
        """Why the last URL of a playlist could not be read; None if all could."""
        self.media_type = ""
        """Media type that the server gave; empty if none."""
        self.choice = ""
        """Which variant was taken, for people; empty if there was no choice."""

    def open(self) -> str | None:
        """Connect and read the beginning of the stream; return the name of libav's demuxer for it, None if libav is to find out.

        Raises:
            SourceError: The server cannot be reached, refuses, sends no video, or leads to an address that is not followed.
        """
        body = self._requested(self._address)
        content = self._content(body)
        for _ in range(MAX_NESTED_PLAYLISTS):
            text = self._playlist(body) if content is Content.PLAYLIST else ""
            if not hls.is_master(text):
                break
            body = self._variant(body, text)
            content = self._content(body)
        else:
            raise SourceFormatError(f"{self._session.name}: the playlists lead to each other, and to no video that can be decoded")
        self._address, self.media_type = body.address, body.media_type
        if content is Content.JPEG:
            interval_s = None if body.media_type.startswith("multipart/") else self._snapshot_interval_s
            self._first = JpegStream(body, name=self._session.name, snapshot_interval_s=interval_s)
            return jpeg_stream.DEMUXER
        self._first = body
        return "hls" if content is Content.PLAYLIST else None

    @property
    def url(self) -> str:
        """URL of the stream after redirects and the choice of a variant, without user name and password."""
        return self._address.url

    def open_url(self, url: str, flags: int, options: Mapping[str, str]) -> _File:
        """Open what libav asks for: the stream itself, or a URL of a playlist.

        Args:
            url: Absolute URL; with ``crypto+`` in front of it for an encrypted segment.
            flags: libav's flags of opening; not used.
            options: libav's options; ``offset`` and ``end_offset`` in bytes, ``key`` and ``iv`` in hexadecimal are used.

        Returns:
            The body. It is empty where a URL of a playlist cannot be read: libav goes on with the next one.

        Raises:
            SourceError: The URL is refused, or there are too many of them.
        """
        first, self._first = self._first, None
        if first is not None:
            return first
        encrypted = url.startswith(_ENCRYPTED)
        address = self._session.guard.follow(self._session.guard.configured, url[len(_ENCRYPTED[0]) :] if encrypted else url)
        body = self._new_body(address, start=int(options.get("offset", 0)), end=int(options.get("end_offset", 0)))
        try:
            body.request()
        except SourceError as exc:
            body.close()
            if isinstance(exc, SourceRedirectError | SourceFormatError):
                raise
            self.failure = exc
            return EmptyBody()
        return self._decrypted(body, options) if encrypted else body

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

    def _content(self, body: HttpBody) -> Content:
        return content_of(body.peek(HEAD_BYTES), body.media_type, self._session.name)

    def _playlist(self, body: HttpBody) -> str:
        """Return the text of a playlist, which can still be read."""
        content = body.peek(MAX_PLAYLIST_BYTES + 1)
        if len(content) > MAX_PLAYLIST_BYTES:
            raise playlist_too_long(self._session.name)
        text = content.decode("utf-8", "replace")
        if not hls.is_hls(text):
            raise SourceFormatError(
                f"{self._session.name}: the server sends a playlist that is not HLS, no video that can be decoded",
                "use the address of one of the streams that it names",
            )
        scheme = hls.other_scheme(text)
        if scheme:
            raise other_protocol(self._session.name, scheme)
        return text

    def _variant(self, master: HttpBody, text: str) -> HttpBody:
        """Return the playlist of the best variant that can be read; the others are not requested."""
        found = hls.variants(text)
        missing: SourceError | None = None
        for variant in hls.best_first(found, max_pixels=self._max_pixels, name=self._session.name):
            try:
                body = self._requested(self._session.guard.follow(master.address, variant.uri))
            except (SourceAuthError, SourceRedirectError, SourceFormatError):
                raise
            except SourceError as exc:
                missing = missing or exc
                continue
            self._note_choice(variant, found)
            master.close()
            return body
        raise missing or SourceFormatError(f"{self._session.name}: the playlist names no stream")

    def _note_choice(self, variant: Variant, found: list[Variant]) -> None:
        if len(found) > 1:
            self.choice = f"HLS variant {found.index(variant) + 1} of {len(found)} ({variant})"

    def _decrypted(self, body: HttpBody, options: Mapping[str, str]) -> DecryptedBody:
        try:
            return DecryptedBody(body, key=bytes.fromhex(options.get("key", "")), iv=bytes.fromhex(options.get("iv", "")))
        except (ValueError, OSError):
            raise SourceFormatError(f"{self._session.name}: the encrypted playlist cannot be decrypted") from None

    def _requested(self, address: Address) -> HttpBody:
        """Return the body at an address, after the header of the response was read."""
        body = self._new_body(address)
        try:
            body.request()
        except SourceError:
            body.close()
            raise
        return body

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
