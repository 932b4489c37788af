"""What libav's decoders report in their log only: they invent what is missing, and give the picture as a good one.

What they invent may depend on pictures long before, which a decoder that began in the middle has not seen. One thread, that of the decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import av.logging
from av.video.stream import VideoStream

_HARMLESS = "mmco: unref short failure"
"""A picture that is not needed any more is not there: so with each H.264 whose key frames are no IDR pictures, after a seek."""
_UNDECODED = "Skipping invalid undecodable NALU"
"""A warning of the HEVC decoder: the picture it gives has what its memory held before."""


class DecoderErrors:
    """Finds the errors that the decoder of one video logs. The log of libav is read only while a packet is decoded."""

    def __init__(self, first_pts: int) -> None:
        """Start with none.

        Args:
            first_pts: Packets with a lower timestamp do not count: those behind a key frame that need pictures before it.
        """
        self._first_pts = first_pts
        self.last = ""
        """The last error; empty if there was none."""

    @contextmanager
    def watching(self, packet: av.Packet[VideoStream]) -> Iterator[None]:
        """Read what is logged while a packet is decoded."""
        level, skip_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.WARNING)
        av.logging.set_skip_repeated(False)  # or an error that an earlier decoder logged too would not come
        try:
            with av.logging.Capture() as logged:
                yield
        finally:
            av.logging.set_skip_repeated(skip_repeated)
            av.logging.set_level(level)
        if packet.pts is None or packet.pts >= self._first_pts:
            self.last = next((text.strip() for severity, _, text in logged if _is_error(severity, text.strip())), self.last)


def _is_error(severity: int, text: str) -> bool:
    return text != _HARMLESS if severity <= av.logging.ERROR else text.startswith(_UNDECODED)
