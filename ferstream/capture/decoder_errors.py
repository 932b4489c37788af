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


class DecoderErrors:
    """Counts the errors that the decoder of one video logs. While it is open, libav's log is read in the whole process."""

    def __init__(self, first_pts: int) -> None:
        """Begin to read the log.

        Args:
            first_pts: Packets with a lower timestamp are not counted: those behind a key frame that need pictures before it.
        """
        self._first_pts = first_pts
        self._before = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)  # or an error that an earlier decoder logged too would not come
        self.last = ""
        """The last error; empty if there was none."""

    @contextmanager
    def watching(self, packet: av.Packet[VideoStream]) -> Iterator[None]:
        """Count what is logged while a packet is decoded."""
        with av.logging.Capture() as logged:
            yield
        if packet.pts is None or packet.pts >= self._first_pts:
            self.last = next((text.strip() for _, _, text in logged if text.strip() != _HARMLESS), self.last)

    def close(self) -> None:
        """Read the log no more; more than one call is allowed."""
        level, skip_repeated = self._before
        av.logging.set_skip_repeated(skip_repeated)
        av.logging.set_level(level)
