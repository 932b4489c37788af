"""Which pixel aspect each picture of a libav stream has. PyAV does not pass on the aspect of a picture.

The decoder's own aspect changes with the packet that brings a new sequence header. Pictures come later than their packets and
in another order, so a change applies to the pictures from that packet's timestamp on. One thread, that of the decoder.
"""

from __future__ import annotations

from fractions import Fraction

from ferstream.capture.geometry import is_plausible, usable_pixel_aspect

Aspect = Fraction | int | None
"""Width of a pixel divided by its height; 0 or None where it is not known."""


class PixelAspects:
    """The aspects of the pictures of one stream.

    As in ffmpeg, an aspect that the container states and the codec does not confirm holds for the whole stream.
    Otherwise the codec's counts, which may change on the way: broadcasts switch between 4:3 and 16:9.
    """

    def __init__(self, stated: Aspect, coded: Aspect) -> None:
        """Start with what is known before the first packet is decoded.

        Args:
            stated: The container's; libav gives the codec's for a container that states none.
            coded: The codec's.
        """
        self._is_fixed = is_plausible(stated) and stated != coded
        self._stated, self._coded = stated, coded
        self._now = self._before = usable_pixel_aspect(stated, coded)
        self._since_pts: int | None = None

    def packet_decoded(self, coded: Aspect, pts: int | None) -> None:
        """Note the aspect of the codec after a packet.

        Args:
            coded: The codec's aspect.
            pts: Timestamp of the packet in the stream's time base; None without one.
        """
        if self._is_fixed or coded == self._coded:
            return
        self._coded = coded
        self._before, self._now, self._since_pts = self._now, usable_pixel_aspect(coded, self._stated), pts

    def at(self, pts: int | None) -> float:
        """Return the aspect of the picture with a timestamp, as stored; 1.0 for square pixels."""
        if self._since_pts is None or pts is None:
            return self._now
        if pts < self._since_pts:
            return self._before
        self._since_pts = None  # pictures come in order: none is older from here on, unless timestamps jump back
        return self._now
