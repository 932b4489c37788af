"""Which of libav's demuxers may read a recording, and what is known about their times.

Every demuxer that this libav has is allowed, except those of ``REFUSED``, each group for a reason.
"""

from __future__ import annotations

from functools import cache

import av
from av.format import ContainerFormat

from ferstream.capture.timing import LONGEST_GAP_NS


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


REFUSED: dict[str, frozenset[str]] = {
    "names other files or hosts, which a recording must not make ferstream open": _names(
        "avisynth concat concatf dash hls image2 image2pipe imf rtp rtsp sap sdp vapoursynth vobsub webm_dash_manifest"
    ),
    "is a device, not a file; webcams are webcam:N": _names(
        "alsa avfoundation dshow fbdev gdigrab iec61883 jack kmsgrab lavfi openal oss pulse sndio v4l2 vfwcap video4linux2 x11grab xcbgrab"
    ),
    "draws text as a picture": _names("adf bin idf tty xbin"),
    "is text without a picture": _names(
        "aqtitle ass ffmetadata jacosub lrc mcc microdvd mpl2 mpsub pjs realtext sami sbg scc srt stl subviewer subviewer1 "
        "tedcaptions vplayer webvtt"
    ),
    "has no header that tells size and pixel format": _names("bitpacked data rawvideo v210 v210x"),
}
"""Names of libav's demuxers that are not used, by the reason."""

_DECLARES_LENGTH = _names("asf asf_o avi flv gxf ivf kux matroska mov mp4 mxf rm webm")
"""Formats whose header says how long the recording is. For others libav reports what it found in the file, which proves nothing."""
_MAY_JUMP = _names("flv kux live_flv nsv")
"""Formats that record a stream as it comes, beside those that libav marks as such: their times may jump where the stream was cut."""
_TS_DISCONT = 0x0200
_JUMP_OF_STREAMS_NS = 10_000_000_000


@cache
def allowed_formats() -> str:
    """Return the names of the demuxers that may read a recording, as libav's option ``format_whitelist`` takes them."""
    refused = frozenset[str]().union(*REFUSED.values())
    names = {name for entry in av.formats_available for name in entry.split(",") if _can_read(entry)}
    return ",".join(sorted(names - refused))


def declares_length(format_name: str) -> bool:
    """Return whether the header of this format says how long the recording is.

    Args:
        format_name: Name of the demuxer, or its names with commas.
    """
    return not _DECLARES_LENGTH.isdisjoint(format_name.split(","))


def longest_gap_ns(container_format: ContainerFormat) -> int:
    """Return the longest gap between two pictures in nanoseconds; a longer one is a jump of the clock.

    10 s in formats that record a stream as it comes (the limit of ffmpeg), 10 min in formats whose times are in an index.
    """
    jumps = bool(int(container_format.flags) & _TS_DISCONT) or not _MAY_JUMP.isdisjoint(container_format.name.split(","))
    return _JUMP_OF_STREAMS_NS if jumps else LONGEST_GAP_NS


def _can_read(entry: str) -> bool:
    try:
        return ContainerFormat(entry.split(",", maxsplit=1)[0], "r").is_input
    except ValueError:  # an encoder's format only
        return False
