"""Motion JPEG over HTTP: finds the pictures in a body by the structure of JPEG, and hands them to libav one by one.

Cameras disagree on everything around the pictures: the boundary and its dashes, the first boundary, line ends, the media
type of a part and its length. So all of that is ignored. libav gets each picture, as soon as its last byte has arrived, as
a part of a multipart body that its ``mpjpeg`` demuxer reads. A body of one picture is a snapshot: it is asked for again.
"""

from __future__ import annotations

import re
from typing import Protocol

from ferstream.errors import SourceFormatError

DEMUXER = "mpjpeg"
"""libav's demuxer for what ``JpegStream`` returns."""
MAX_BYTES_WITHOUT_JPEG = 1_000_000
"""So many bytes before, between or after pictures end the stream."""
_BEGIN = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7\x01]")
"""A marker other than stuffed zeros, fill bytes and restart markers: the only ones that may stand in compressed data."""
_END_OF_IMAGE, _START_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xD8, 0xDA
_READ_BYTES = 65_536


class JpegSplitter:
    """Cuts a stream of bytes into JPEG pictures; everything between them is discarded.

    A picture ends at its end marker. One that has none, or is damaged, ends where the next begins.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._inside = False
        self._scanning = False  # in compressed data, otherwise between two segments of the header
        self._position = 0
        self.discarded = 0
        """Bytes outside of pictures since the last one began."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._data += data

    def next_picture(self) -> bytes | None:
        """Return the next whole picture; None if more bytes are needed."""
        if not self._inside and not self._find_begin():
            return None
        while self._position < len(self._data):
            end = self._scan() if self._scanning else self._skip_segment()
            if end is None:
                return None
            if end:
                return self._cut(end)
        return None

    def rest(self) -> bytes:
        """Return the picture that has begun; empty if none has. The stream has ended."""
        return self._cut(len(self._data)) if self._inside else b""

    def _find_begin(self) -> bool:
        found = self._data.find(_BEGIN)
        outside = max(0, len(self._data) - 2) if found < 0 else found
        self.discarded += outside
        del self._data[:outside]
        if found >= 0:
            self._inside, self._scanning, self._position, self.discarded = True, False, 2, 0
        return found >= 0

    def _cut(self, end: int) -> bytes:
        picture = bytes(self._data[:end])
        del self._data[:end]
        self._inside = False
        return picture

    def _skip_segment(self) -> int | None:
        """Skip a segment of the header; return the end of the picture, 0 to go on, None if more bytes are needed."""
        head = self._data[self._position : self._position + 4]
        if len(head) < 4:
            return None
        kind = head[1]
        if head[0] != 0xFF or kind in (0, _START_OF_IMAGE, _END_OF_IMAGE):
            self._scanning = True  # damaged: search for a marker that ends the picture
            return 0
        if kind == 0xFF:
            self._position += 1
            return 0
        self._position += 2 + int.from_bytes(head[2:4], "big")
        self._scanning = kind == _START_OF_SCAN
        return 0

    def _scan(self) -> int | None:
        """Search the compressed data for its end; return as ``_skip_segment``."""
        found = _MARKER.search(self._data, self._position)
        if found is None:
            self._position = max(self._position, len(self._data) - 1)
            return None
        kind = self._data[found.start() + 1]
        if kind == _END_OF_IMAGE:
            return found.end()
        if kind == _START_OF_IMAGE:
            return found.start()
        self._position, self._scanning = found.start(), not 0xC0 <= kind <= 0xFE
        if self._scanning:
            self._position += 1
        return 0


class RepeatableBody(Protocol):
    """A body that can be asked for again; ``HttpBody`` is one."""

    def read(self, size: int) -> bytes:
        """Return the next bytes, empty at the end."""
        ...

    def request_again(self, interval_s: float) -> bool:
        """Send the request again, ``interval_s`` after the last one; return False if the body was closed."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class JpegStream:
    """The pictures of a body, as a file for libav. The reading thread only."""

    def __init__(self, body: RepeatableBody, *, name: str, snapshot_interval_s: float | None) -> None:
        """Set up; nothing is read yet.

        Args:
            body: What the camera sends.
            name: Name of the source for messages.
            snapshot_interval_s: Seconds from one request to the next where each answer is one picture; None for an answer that
                announces several.
        """
        self._body, self._name, self._interval_s = body, name, snapshot_interval_s
        self._splitter = JpegSplitter()
        self._of_body = 0
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return the next bytes of a multipart body, at most ``size``; empty at the end.

        Raises:
            SourceError: The camera does not send JPEG pictures, or reading failed.
        """
        if not self._ready:
            picture = self._next_picture()
            if not picture:
                return b""
            head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
            self._ready = memoryview(b"".join((head, picture, b"\r\n")))
        part, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return part

    def close(self) -> None:
        """Close the connection."""
        self._body.close()

    def _next_picture(self) -> bytes:
        """Return the next picture; empty at the end."""
        while (picture := self._splitter.next_picture()) is None:
            if self._splitter.discarded > MAX_BYTES_WITHOUT_JPEG:
                raise self._no_jpeg()
            data = self._body.read(_READ_BYTES)
            self._splitter.feed(data)
            if not data:
                picture = self._splitter.rest()  # the end cut it off, or it has no end marker
                if picture or not self._ask_again():
                    break
        self._of_body += bool(picture)
        if self._of_body > 1:
            self._interval_s = None
        return picture

    def _ask_again(self) -> bool:
        """Ask for the next snapshot after the end of a body; return False at the end of the stream."""
        if not self._of_body:
            raise self._no_jpeg()
        if self._interval_s is None:
            return False
        self._of_body, self._splitter = 0, JpegSplitter()
        return self._body.request_again(self._interval_s)

    def _no_jpeg(self) -> SourceFormatError:
        return SourceFormatError(
            f"{self._name}: the server sends no JPEG pictures, no video that can be decoded", "use the MJPEG or RTSP address of the camera"
        )
