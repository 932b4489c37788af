"""Where a recording can be cut so that its parts have exactly the pictures of the whole. Pure: from packets to chunks.

A recording is divided only if everything that is known of its packets says that its pictures and their times do not depend on where
reading begins. Whether that is true is checked again when its chunks are read; see ``capture.span``.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from ferstream.archive.plan import Chunk, Timestamps
from ferstream.capture.span import COMPARED
from ferstream.capture.timing import Sampler

CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv"})
"""Demuxers that give the same pictures after a seek; measured. MPEG-TS loses all of them, AVI some."""
CODECS = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg", "mpeg2video", "flv", "libdav1d", "flv1"})
"""Codecs whose pictures are the same when decoding begins at a key frame; measured."""
_SHORTEST_TAIL = 4
"""The last chunk has at least one part in so many of the wanted length."""


class PacketList:
    """The packets of one video, in the order of the file: their timestamps, where it can be cut, and why it cannot."""

    def __init__(self) -> None:
        """Start with none."""
        self._pts = array("q")
        self._starts = array("q")
        self._highest: int | None = None
        self.fault = ""
        """Why the recording cannot be divided, in plain words; empty if nothing is known."""

    def add(self, pts: int | None, *, is_key: bool, is_corrupt: bool = False, is_shown: bool = True) -> None:
        """Add a packet.

        Args:
            pts: Its timestamp; None without one.
            is_key: Whether decoding can begin with it.
            is_corrupt: Whether the container says that it is damaged.
            is_shown: Whether it has a picture that is shown.
        """
        if pts is None:
            self.add_fault("a picture has no timestamp")
        elif is_corrupt:
            self.add_fault("it is damaged")
        elif self._highest is None and not is_key:
            self.add_fault("it does not begin with a key frame")
        else:
            if is_key and is_shown and (self._highest is None or pts > self._highest):
                self._starts.append(pts)
            self._highest = pts if self._highest is None else max(self._highest, pts)
            if is_shown:
                self._pts.append(pts)

    def add_fault(self, reason: str) -> None:
        """Note why it cannot be divided; the first reason is kept."""
        self.fault = self.fault or reason

    @property
    def pts(self) -> Timestamps:
        """Timestamps of the pictures, in the order of presentation."""
        return np.sort(np.array(self._pts, np.int64))

    @property
    def starts(self) -> Timestamps:
        """Timestamps of the key frames behind which no picture is shown that comes before them in the file, increasing."""
        return np.array(self._starts, np.int64)


def media_times(pts: Timestamps, time_ns: Callable[[int], int], *, longest_gap_ns: int) -> tuple[list[int], str]:
    """Return the media times of pictures in nanoseconds, and why they are not those of ``MediaTimeline``; empty if they are.

    Args:
        pts: Timestamps in the order of presentation; at least one.
        time_ns: Returns a timestamp in nanoseconds of the stream's time.
        longest_gap_ns: Longest time between two pictures that is not a jump.
    """
    stamps = pts.tolist()
    origin_ns = time_ns(stamps[0])
    times = [time_ns(stamp) - origin_ns for stamp in stamps]
    for before, now in pairwise(times):
        if now <= before:
            return times, "two pictures have the same time"
        if now - before > longest_gap_ns:
            return times, "its times jump"
    return times, ""


def cut(pts: Timestamps, starts: Timestamps, times_ns: Sequence[int], *, chunk_ns: int, fps: float) -> tuple[Chunk, ...]:
    """Cut a recording at key frames into chunks of about the same length, each with a picture that is analysed.

    Args:
        pts: Timestamps of all pictures, in the order of presentation.
        starts: Those of the key frames at which it can be cut.
        times_ns: Media times of all pictures.
        chunk_ns: Shortest wanted length of a chunk; the last one may be shorter.
        fps: Frames to analyse per second of media time; 0 for all.
    """
    sampler = Sampler(fps=fps)
    analysed = np.fromiter((sampler.take(time_ns) for time_ns in times_ns), np.bool_, len(pts))
    borders = _borders(np.searchsorted(pts, starts).tolist(), times_ns, np.cumsum(analysed).tolist(), chunk_ns)
    return tuple(
        Chunk(number=number, first_frame=first, pts=pts[first:stop], overlap=pts[stop : _overlap_end(stop, analysed)])
        for number, (first, stop) in enumerate(pairwise(borders))
    )


def _borders(candidates: Sequence[int], times_ns: Sequence[int], analysed: Sequence[int], chunk_ns: int) -> list[int]:
    """Return the numbers of the first pictures of the chunks, and the number of all pictures.

    Args:
        candidates: Numbers of the pictures at which it can be cut, increasing.
        times_ns: Media times of all pictures.
        analysed: How many pictures up to each are analysed.
        chunk_ns: Shortest wanted length.
    """
    borders = [0]
    for place in candidates:
        first = borders[-1]
        is_long_enough = times_ns[place] - times_ns[first] >= chunk_ns and place - first >= COMPARED
        is_tail_long_enough = (times_ns[-1] - times_ns[place]) * _SHORTEST_TAIL >= chunk_ns
        if not (place and is_long_enough and is_tail_long_enough):
            continue
        before = analysed[first - 1] if first else 0
        if before < analysed[place - 1] < analysed[-1]:
            borders.append(place)
    return [*borders, len(times_ns)]


def _overlap_end(stop: int, analysed: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """Return the number of the picture behind the overlap that begins at a picture: it has one that is analysed."""
    if stop == len(analysed):
        return stop
    return min(len(analysed), max(stop + COMPARED, stop + int(np.argmax(analysed[stop:])) + 1))
