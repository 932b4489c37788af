"""How many pictures of a recording are missing: what its container promises against what came.

What a container promises is, in this order: the number of pictures in its index or header, the length of the video, and
the length in bytes. Times count from the first picture or from 0, whichever leaves less missing: formats differ, and a
recording that begins at 5 s (a piece of a longer one) is whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ferstream.capture.container_end import ContainerEnd
from ferstream.capture.formats import declares_length

_TIME = re.compile(r"(\d{1,4}):(\d{2}):(\d{2})(?:\.(\d+))?", re.ASCII)
_TOLERANCE_NS = 1_000_000_000
_IRREGULAR = 1.5
"""If the mean time between pictures is so many times the nominal one, the latter means nothing."""
_MAX_REORDERED = 16
"""Most pictures that a codec stores after a later one."""
_UNEVEN = 4
"""So many times more pictures than the mean may be in the missing bytes."""
_ROUNDING_NS = 2_000_000
"""How exact times of containers are: Matroska and FLV round them to milliseconds."""
_BYTES_OF_A_PICTURE = 8
"""No format needs less for a picture."""
_MAX_MISSING = 100_000_000
"""More missing pictures than these, 46 days of video, are a damaged header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a container promises of its video.

    Attributes:
        video_ns: Length of the video in nanoseconds; 0 when unknown.
        container_ns: Length of the longest stream in nanoseconds; 0 when unknown.
        indexed: Whether libav knows every picture of the file, also of the missing part, when it has read to the end.
        open_ended: Whether the index covers only the fragments that are in the file.
        numbered: Whether decoding times number the pictures, as in AVI.
    """

    video_ns: int = 0
    container_ns: int = 0
    indexed: bool = False
    open_ended: bool = False
    numbered: bool = False


class Arrivals:
    """Counts the packets of a video, whether they can be decoded or not."""

    def __init__(self, *, tick_ns: int, ticks: int, by_dts: bool) -> None:
        """Start with none.

        Args:
            tick_ns: Nanoseconds of ``ticks`` ticks of the stream's clock.
            ticks: See ``tick_ns``.
            by_dts: Whether decoding times are used instead of presentation times.
        """
        self._tick_ns, self._ticks, self._by_dts = tick_ns, ticks, by_dts
        self._first: int | None = None
        self._end = 0
        self.packets = 0
        """Number of packets."""
        self.errors = 0
        """Number of read errors that were reported as damaged pictures."""
        self.errors_at_end = 0
        """Those after the last packet."""
        self._is_last_torn = False
        self.last_packet = (-1, 0)
        """Place and size in bytes of the last packet."""

    def add(self, packet: av.Packet[VideoStream]) -> None:
        """Count a packet."""
        if not packet.size and packet.pts is None:  # the end of the input
            return
        self.packets += 1
        self.errors_at_end, self._is_last_torn = 0, packet.is_corrupt
        self.last_packet = (-1 if packet.pos is None else packet.pos, packet.size)
        pts = packet.dts if self._by_dts or packet.pts is None else packet.pts
        if pts is not None:
            self._first = pts if self._first is None else min(self._first, pts)
            self._end = max(self._end, pts + max(packet.duration or 0, 0))

    def add_error(self) -> None:
        """Count a read error."""
        self.errors += 1
        self.errors_at_end += 1

    @property
    def ended_early(self) -> bool:
        """Whether the file ended within the last packet, or with a read error."""
        return self._is_last_torn or self.errors_at_end > 0

    def step_ns(self, nominal_ns: int) -> int:
        """Return the time from picture to picture in nanoseconds: the nominal one, if it agrees with what came."""
        mean_ns = self._span_ns() // max(1, self.packets)
        return nominal_ns if mean_ns <= nominal_ns * _IRREGULAR else mean_ns

    def holes(self, step_ns: int, most: int) -> int:
        """Return how many pictures are missing between the first and the last one; 0 if more than ``most``: then times are irregular."""
        holes = self._span_ns() // step_ns - self.packets
        return holes if 0 < holes <= most else 0

    def _span_ns(self) -> int:
        return (self._end - (self._first or 0)) * self._tick_ns // self._ticks + _ROUNDING_NS

    def end_ns(self) -> int:
        """Return where the video ended, in nanoseconds since its first picture or since 0, whichever is more."""
        first = 0 if self._first is None else min(self._first, 0)
        return (self._end - first) * self._tick_ns // self._ticks - _ROUNDING_NS


def promise_of(container: InputContainer, stream: VideoStream) -> Promise:
    """Read what a container promises of one of its video streams, before the first packet is read."""
    name = container.format.name
    if name.startswith("mov"):
        return Promise(indexed=True, open_ended=not stream.frames)
    base = stream.time_base
    if base is None or not declares_length(name):
        return Promise()
    tick_ns = base.numerator * 1_000_000_000 / base.denominator
    if name == "avi":  # its header counts pictures, also those that are left out because nothing moved
        return Promise(video_ns=round((stream.frames or 0) * tick_ns), numbered=True)
    whole_ns = (container.duration or 0) * (1_000_000_000 // av.time_base)
    video_ns = round((stream.duration or 0) * tick_ns) or _tagged_ns(stream.metadata.get("DURATION", ""))
    if len(container.streams) == 1 and not stream.duration:
        video_ns = min(video_ns, whole_ns) if video_ns and whole_ns else whole_ns
    return Promise(video_ns=video_ns, container_ns=whole_ns)


def missing_pictures(promise: Promise, came: Arrivals, *, indexed: int, end: ContainerEnd, step_ns: int) -> int:
    """Return how many pictures are missing; exact where the container numbers them, else an estimate.

    Where the bytes end before the container does, every promised picture counts, and one at least if the container does
    not say. Otherwise a length is wrong more often than pictures are missing: then only a gap of more than a second
    and 5 % counts. A promise of more pictures than can be is not believed.

    Args:
        promise: What the container promises.
        came: What came.
        indexed: Number of pictures in libav's index after reading.
        end: Where the container says that its bytes end.
        step_ns: Nominal time from picture to picture in nanoseconds.
    """
    if promise.indexed or end.frames:
        missing = max(end.frames, indexed if promise.indexed else 0) - came.packets - came.errors
        least = int(end.torn and promise.open_ended)
    else:
        missing, least = _missing_by_time(promise, came, end, step_ns)
    most = _MAX_MISSING if end.torn or came.ended_early or not end.size else end.size // _BYTES_OF_A_PICTURE
    return max(missing if missing <= most else 0, least)


def _missing_by_time(promise: Promise, came: Arrivals, end: ContainerEnd, nominal_ns: int) -> tuple[int, int]:
    """Return the number of missing pictures by the length of the video, and how many there are at least."""
    torn = end.torn or came.ended_early
    length_ns = promise.video_ns or end.length_ns or (promise.container_ns if torn else 0)
    gap_ns, step_ns = length_ns - came.end_ns(), came.step_ns(nominal_ns)
    if not torn:
        return (gap_ns // step_ns if gap_ns > max(_TOLERANCE_NS, length_ns // 20) else 0), 0
    if not length_ns:
        return round(came.packets * end.absent) - came.errors_at_end, 1 - came.errors_at_end
    if gap_ns < step_ns and end.absent:  # the end came, although bytes are missing: they are missing in the middle
        return came.holes(nominal_ns, round(came.packets * end.absent * _UNEVEN)) - came.errors, 0
    return max(0, gap_ns // step_ns) + came.holes(step_ns, _MAX_REORDERED) - came.errors_at_end, 0


def _tagged_ns(text: str) -> int:
    """Return the time of a tag such as ``00:01:02.500000000`` in nanoseconds; 0 without a valid one."""
    match = _TIME.fullmatch(text.strip("\0 "))
    if match is None:
        return 0
    hours, minutes, seconds, fraction = match.groups(default="0")
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
