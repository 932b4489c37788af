"""One opened libav input, decoded by one thread and closed by any.

Closing a container while another thread is inside libav is a use after free, and so is asking a stream of a closed
container anything: PyAV keeps the pointer. So what the container says of itself is read once, before any other thread
can close it, and every later native call holds a lock; ``close`` asks for the end, frees at once when the lock is free,
and otherwise leaves it to the decoding thread, which returns from its call within the read timeout.
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
_MAX_UNREAD_IN_A_ROW = 16
_DEFAULT_STEP_NS = 40_000_000
_END_TOLERANCE_NS = 1_000_000_000


class VideoInput:
    """An opened container and its video stream."""

    def __init__(self, *, container: InputContainer, threads: int, thread_type: str) -> None:
        self._container, self._stream = container, _video_of(container)
        self._stream.codec_context.thread_count = threads
        self._stream.codec_context.thread_type = thread_type
        base = self._stream.time_base or Fraction(1, av.time_base)
        self._tick_ns, self._ticks = base.numerator * 1_000_000_000, base.denominator
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._rate = self._stream.average_rate or self._stream.guessed_rate or self._stream.base_rate
        self._duration_s = container.duration / av.time_base if container.duration else None
        self._length_ns = self._read_length_ns()
        self._frames = self._stream.frames
        self._codec = self._stream.codec_context.name
        self.metadata: dict[str, str] = dict(container.metadata)
        """Tags of the container."""
        self.format_name: str = container.format.name
        """Name of the demuxer."""
        self.step_ns: int = round(1_000_000_000 / self._rate) if self._rate else _DEFAULT_STEP_NS
        """Nominal time from frame to frame in nanoseconds."""

    def _read_length_ns(self) -> int:
        """Length of the video, 0 when unknown; that of the container counts only if there is nothing else in it."""
        if self._stream.duration:
            return self._stream.duration * self._tick_ns // self._ticks
        alone = len(self._container.streams) == 1
        return self._container.duration * (1_000_000_000 // av.time_base) if alone and self._container.duration else 0

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
        last_ns = max(self.step_ns, (last.duration or 0) * self._tick_ns // self._ticks)
        gap_ns = self._length_ns - shown_ns - last_ns
        return gap_ns // self.step_ns if gap_ns > max(_END_TOLERANCE_NS, self._length_ns // 20) else 0

    def info(self, first: av.VideoFrame) -> SourceInfo:
        """What the container and its first picture say of the video."""
        width, height = turned_size(first, first.rotation)
        rate = float(self._rate or 0)
        frames = self._frames or (round(self._duration_s * rate) if self._duration_s and rate else None)
        codec = f"{self._codec} ({first.format.name})"
        return SourceInfo(width=width, height=height, fps=rate, frames=frames, duration_s=self._duration_s, codec=codec)

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
        """The pictures of one packet after the other, and at the end those the decoder still holds."""
        packets = self._packets(strict)
        in_a_row = 0
        while strict or in_a_row <= _MAX_DAMAGED_IN_A_ROW:
            with self._lock:
                if self._closing.is_set():
                    return
                try:
                    packet = next(packets)
                except StopIteration:
                    break
                pictures = self._decoded(packet, timed) if packet is not None else None
            in_a_row = in_a_row + 1 if pictures is None else 0
            if pictures is None:
                damaged(1)
            else:
                yield pictures
        yield self._flushed()

    def _packets(self, strict: bool) -> Iterator[av.Packet[VideoStream] | None]:
        """Packets to the end, None for a fault in reading; one that stays is one fault, however often it is met."""
        unread = 0
        while unread <= _MAX_UNREAD_IN_A_ROW:
            try:
                for packet in self._container.demux(self._stream):
                    unread = 0
                    yield packet
                return
            except av.FFmpegError:
                if strict:
                    raise
                unread += 1
            if unread == 1:
                yield None

    def _flushed(self) -> list[av.VideoFrame]:
        """The pictures that the decoder holds back, once nothing more can be read."""
        with self._lock:
            if self._closing.is_set():
                return []
            try:
                return list(self._stream.codec_context.decode(None))
            except av.FFmpegError:
                return []

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


def _video_of(container: InputContainer) -> VideoStream:
    """The first video stream that can be decoded; closes the container when there is none."""
    streams = container.streams.video
    for stream in streams:
        if getattr(stream, "codec_context", None) is not None:  # None for codecs unknown to libav, whatever its types say
            return stream
    container.close()
    raise SourceFormatError("holds no video that can be decoded" if streams else "holds no video, only audio or data")
