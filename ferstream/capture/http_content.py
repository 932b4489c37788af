"""What the answer of an HTTP server is, from its first bytes, and from the media type that it claims."""

from __future__ import annotations

import re
from enum import Enum, auto

from ferstream.capture.source_errors import no_video
from ferstream.errors import SourceFormatError

HEAD_BYTES = 256
"""So many bytes of a body are looked at."""
_MULTIPART = re.compile(rb"\s*--[^\r\n]{0,80}\r?\n|\s*content-(type|length)\s*:", re.IGNORECASE)
_JPEG = b"\xff\xd8\xff"
_JPEG_TYPES = ("image/jpeg", "image/jpg", "image/pjpeg", "video/x-motion-jpeg", "video/x-jpeg", "video/x-mjpeg", "video/mjpeg")
_BLANKS = b"\xef\xbb\xbf \t\r\n\0"


class Content(Enum):
    """Kinds of bodies that are read in different ways."""

    JPEG = auto()
    """JPEG pictures: a multipart body, pictures one after the other, or a single one."""
    PLAYLIST = auto()
    """An HLS playlist."""
    OTHER = auto()
    """Whatever libav recognises."""


def content_of(head: bytes, media_type: str, name: str) -> Content:
    """Return how to read a body.

    Args:
        head: Its first bytes; all of it if it is shorter.
        media_type: Media type in lower case that the server claims; empty without one.
        name: Name of the source for messages.

    Raises:
        SourceFormatError: It is not a video.
    """
    text = head.lstrip(_BLANKS)
    if text.startswith(b"#EXTM3U"):
        return Content.PLAYLIST
    if media_type.startswith("multipart/") or text.startswith(_JPEG) or _MULTIPART.match(head):
        return Content.JPEG
    if not text:
        raise SourceFormatError(f"{name}: the server's answer is empty", "check the path; some cameras need their stream to be switched on")
    refused = _refused(text, media_type, name)
    if refused is not None:
        raise refused
    return Content.JPEG if media_type in _JPEG_TYPES else Content.OTHER


def _refused(text: bytes, media_type: str, name: str) -> SourceFormatError | None:
    """Return the error for something that people often take for a stream."""
    lower = text.lower()
    if re.match(rb"<\?xml[^<]*(<!--.*?-->\s*)?<mpd|<mpd", lower, re.DOTALL) or media_type == "application/dash+xml":
        return SourceFormatError(f"{name}: the server sends DASH, which is not supported", "use the HLS or RTSP address of the camera")
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<script", b"<body")) or (media_type == "text/html" and text[:1] == b"<"):
        return SourceFormatError(
            f"{name}: the server sends a web page, no video that can be decoded",
            "it may be the login page or the viewer of the camera: use the address of the stream itself",
        )
    if text.startswith((b"\x89PNG", b"GIF8")) and media_type.startswith("image/") and media_type != "image/gif":
        return SourceFormatError(
            f"{name}: the server sends a picture in another format than JPEG", "use the JPEG or RTSP address of the camera"
        )
    readable = all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text)
    if readable and (media_type.startswith("text/") or media_type in ("application/json", "application/xml")):
        return no_video(name, media_type)
    return None
