"""One opened libav input, decoded by one thread and closed by any.

Closing a container while another thread is inside libav is a use after free. So every native call holds a lock;
``close`` asks for the end, frees at once when the lock is free, and otherwise leaves it to the decoding thread,
which returns from its call within the read timeout.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ferstream.capture.planes import turned_size
from ferstream.capture.source import SourceInfo
from ferstream.errors import SourceFormatError

_MAX_DAMAGED_IN_A_ROW = 256
_DEFAULT_STEP_NS = 40_000_000
_END_TOLERANCE_NS = 1_000_000_000


class Connection:
    """An opened container and its video stream."""

    def __init__(self, *, container: InputContainer, threads: int, thread_type: str) -> None:
        self._container, self._stream = container, _video_of(container)
        self._stream.codec_context.thread_count = threads
        self._stream.codec_context.thread_type = thread_type
        base = self._stream.time_base or Fraction(1, av.time_base)
        self._tick_ns, self._ticks = base.numerator * 1_000_000_000, base.denominator
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def metadata(self) -> dict[str, str]:
        """Tags of the container."""
        return self._container.metadata

    @property
    def format_name(self) -> str:
        """Name of the demuxer."""
        return self._container.format.name

    @property
    def step_ns(self) -> int:
        """Nominal time from frame to frame in nanoseconds."""
        rate = self._rate()
        return round(1_000_000_000 / rate) if rate else _DEFAULT_STEP_NS

    def stamp_ns(self, decoded: av.VideoFrame) -> int | None:
        """The presentation stamp of a picture in nanoseconds of the stream's time, if it has one."""
        pts = decoded.pts
        return None if pts is None else pts * self._tick_ns // self._ticks

    def missing(self, shown_ns: int, last: av.VideoFrame) -> int:
        """About how many pictures a recording lost at its end.

        The container tells how long the video is; one that ends more than a second and 5 % early was cut off.

        Args:
            shown_ns: Media time of the last picture.
            last: The last picture.
        """
        length_ns = self._length_ns()
        last_ns = max(self.step_ns, (last.duration or 0) * self._tick_ns // self._ticks)
        gap_ns = length_ns - shown_ns - last_ns
        return gap_ns // self.step_ns if gap_ns > max(_END_TOLERANCE_NS, length_ns // 20) else 0

    def _length_ns(self) -> int:
        """Length of the video, 0 when unknown; that of the container counts only if there is nothing else in it."""
        if self._stream.duration:
            return self._stream.duration * self._tick_ns // self._ticks
        alone = len(self._container.streams) == 1
        return self._container.duration * (1_000_000_000 // av.time_base) if alone and self._container.duration else 0

    def info(self, first: av.VideoFrame) -> SourceInfo:
        """What the container and its first picture say of the video."""
        codec, stream = self._stream.codec_context, self._stream
        width, height = turned_size(first, first.rotation)
        duration_s = self._container.duration / av.time_base if self._container.duration else None
        rate = float(self._rate() or 0)
        frames = stream.frames or (round(duration_s * rate) if duration_s and rate else None)
        return SourceInfo(
            width=width, height=height, fps=rate, frames=frames, duration_s=duration_s, codec=f"{codec.name} ({first.format.name})"
        )

    def frames(self, *, timed: Callable[[float], None], damaged: Callable[[int], None], strict: bool) -> Iterator[av.VideoFrame]:
        """Decode until the end or ``close``.

        Args:
            timed: Receives the seconds each packet took to decode.
            damaged: Receives the number of packets or pictures that had to be skipped.
            strict: True to raise when the input cannot be read on (streams), False to skip and go on (recordings).

        Raises:
            av.FFmpegError: Reading failed and ``strict`` is set.
        """
        try:
            for pictures in self._batches(timed, damaged, strict):
                for picture in pictures:
                    if self._closing.is_set():
                        return
                    if picture.is_corrupt:
                        damaged(1)
                    else:
                        yield picture
        finally:
            if self._closing.is_set():
                self.close()

    def _batches(self, timed: Callable[[float], None], damaged: Callable[[int], None], strict: bool) -> Iterator[list[av.VideoFrame]]:
        """The pictures of one packet after the other."""
        packets = self._container.demux(self._stream)
        in_a_row = 0
        while strict or in_a_row <= _MAX_DAMAGED_IN_A_ROW:
            with self._lock:
                if self._closing.is_set():
                    return
                try:
                    pictures = self._decoded(next(packets), timed)
                except StopIteration:
                    return
                except av.FFmpegError:
                    if strict:
                        raise
                    packets = self._container.demux(self._stream)
                    pictures = None
            in_a_row = in_a_row + 1 if pictures is None else 0
            if pictures is None:
                damaged(1)
            else:
                yield pictures

    def _decoded(self, packet: av.Packet[VideoStream], timed: Callable[[float], None]) -> list[av.VideoFrame] | None:
        """The pictures that a packet completes, None when it is damaged."""
        started = time.perf_counter()
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            return None
        timed(time.perf_counter() - started)
        return [picture for picture in pictures if isinstance(picture, av.VideoFrame)]

    def close(self) -> None:
        """Ask for the end; frees at once unless a native call is under way (then its thread does, after it)."""
        self._closing.set()
        if self._lock.acquire(blocking=False):
            try:
                self._container.close()
            finally:
                self._lock.release()

    def _rate(self) -> Fraction | None:
        return self._stream.average_rate or self._stream.guessed_rate or self._stream.base_rate


def _video_of(container: InputContainer) -> VideoStream:
    """The first video stream that can be decoded; closes the container when there is none."""
    streams = container.streams.video
    for stream in streams:
        if getattr(stream, "codec_context", None) is not None:  # None for codecs unknown to libav, whatever its types say
            return stream
    container.close()
    raise SourceFormatError("holds no video that can be decoded" if streams else "holds no video, only audio or data")
