"""HLS master playlists: which of the variants is read.

libav would open every variant and rendition that a master playlist names. So ferstream chooses one, and libav gets the
playlist of that one only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ferstream.errors import SourceFormatError

_VARIANT = "#EXT-X-STREAM-INF:"
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)\s*=\s*("[^"]*"|[^",\s]+)')
_SOUND = ("mp4a", "ac-3", "ec-3", "opus", "mp3", "flac", "alac", "dts")
_TEXT = ("stpp", "wvtt")


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of a master playlist.

    Attributes:
        uri: Where its playlist is, as it is written.
        width: Width in pixels; 0 if not stated.
        height: Height in pixels; 0 if not stated.
        bandwidth: Peak bits per second; 0 if not stated.
        codecs: Its codecs as they are written; empty if not stated.
    """

    uri: str
    width: int = 0
    height: int = 0
    bandwidth: int = 0
    codecs: str = ""

    @property
    def has_video(self) -> bool:
        """Whether it may hold video: a resolution, a codec of video, or nothing that says otherwise."""
        codecs = [codec.strip().lower() for codec in self.codecs.split(",") if codec.strip()]
        return bool(self.width) or not codecs or not all(codec.startswith(_SOUND + _TEXT) for codec in codecs)

    def __str__(self) -> str:
        """Return size and bandwidth as text."""
        size = f"{self.width} x {self.height}" if self.width else "unknown size"
        return f"{size}, {self.bandwidth / 1e6:.3g} Mbit/s" if self.bandwidth else size


def is_master(text: str) -> bool:
    """Return whether a playlist names variants instead of segments."""
    return any(line.startswith(_VARIANT) for line in text.splitlines())


def is_hls(text: str) -> bool:
    """Return whether a playlist is one of HLS: lists of channels or songs look alike."""
    return re.search(r"^#EXT-X-(STREAM-INF|TARGETDURATION|MEDIA-SEQUENCE|VERSION)\b", text, re.MULTILINE) is not None


def other_scheme(text: str) -> str:
    """Return the scheme of the first address that is neither relative nor ``http(s)``, in lower case; empty if all may be opened."""
    for line in map(str.strip, text.splitlines()):
        found = re.findall(r'\bURI\s*=\s*"?([^",\s]*)', line) if line.startswith("#EXT") else [line]
        for uri in found:
            scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", uri)
            if scheme and scheme[1].lower() not in ("http", "https"):
                return scheme[1].lower()
    return ""


def variants(text: str) -> list[Variant]:
    """Return the variants of a master playlist, in its order."""
    found: list[Variant] = []
    attributes: dict[str, str] | None = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith(_VARIANT):
            attributes = {key: value.strip('"') for key, value in _ATTRIBUTE.findall(line[len(_VARIANT) :])}
        elif line and not line.startswith("#") and attributes is not None:
            found.append(_variant(line, attributes))
            attributes = None
    return found


def _variant(uri: str, attributes: dict[str, str]) -> Variant:
    size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", attributes.get("RESOLUTION", "").lower())
    bandwidth = attributes.get("BANDWIDTH", "")
    return Variant(
        uri=uri,
        width=int(size[1]) if size else 0,
        height=int(size[2]) if size else 0,
        bandwidth=int(bandwidth) if bandwidth.isdecimal() and len(bandwidth) < 13 else 0,
        codecs=attributes.get("CODECS", ""),
    )


def best_first(found: list[Variant], *, max_pixels: int, name: str) -> list[Variant]:
    """Return the variants with video that ``max_pixels`` allows: most pixels first, then highest bandwidth, then as listed.

    Args:
        found: The variants of a master playlist.
        max_pixels: Width times height of the largest picture that is decoded.
        name: Name of the source for messages.

    Raises:
        SourceFormatError: There is none.
    """
    videos = [variant for variant in found if variant.has_video]
    if not videos:
        raise SourceFormatError(f"{name}: the playlist names no video, only audio", "use the address of a stream with video")
    fitting = [variant for variant in videos if variant.width * variant.height <= max_pixels]
    if not fitting:
        smallest = min(videos, key=lambda variant: variant.width * variant.height)
        raise SourceFormatError(
            f"{name}: the smallest variant of the playlist is {smallest.width} x {smallest.height} pixels; max_pixels allows {max_pixels:,}"
        )
    return sorted(fitting, key=lambda variant: (variant.width * variant.height, variant.bandwidth), reverse=True)
