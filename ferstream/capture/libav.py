"""One opened libav input, decoded by one thread and closed by any.

Closing a container while another thread is inside libav is a use after free, and so is reading a property of a stream
whose container is closed: PyAV keeps the pointer. Therefore all properties are read once in the constructor, before
another thread can close the container, and every later native call holds a lock. ``close`` sets a flag and frees the
container at once if the lock is free; otherwise the decoding thread frees it after its call, which returns within the
read timeout.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ferstream.capture.options import Decoding
from ferstream.capture.planes import display_size
from ferstream.capture.source import SourceInfo
from ferstream.capture.source_errors import too_large
from ferstream.errors import SourceFormatError

_MAX_DAMAGED_PACKETS = 256
"""So many damaged packets in a row end a recording."""
_MAX_READ_ERRORS = 16
"""So many read errors in a row end a recording."""
_DEFAULT_STEP_NS = 40_000_000
_END_TOLERANCE_NS = 1_000_000_000


class VideoInput:
    """An opened container and its first video stream that can be decoded.

    Args:
        container: The opened container; owned and closed by this object.
        decoding: Threads of the decoder, and the largest picture.
        name: Name of the source for messages.
        on_closed: Called after the container was closed.

    Raises:
        SourceFormatError: The container has no video that can be decoded, or too large pictures; it is closed then.
    """

    def __init__(
        self, *, container: InputContainer, decoding: Decoding, name: str = "video", on_closed: Callable[[], None] | None = None
    ) -> None:
        self._container, self._stream, self._on_closed = container, _video_of(container, name), on_closed
        self._name, self._max_pixels = name, decoding.max_pixels
        self._limit_pictures()
        self._stream.codec_context.thread_count = decoding.threads
        self._stream.codec_context.thread_type = decoding.thread_type
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
        """Return the length of the video in nanoseconds, 0 when unknown; the container's counts only if it has no other stream."""
        if self._stream.duration:
            return self._stream.duration * self._tick_ns // self._ticks
        single = len(self._container.streams) == 1
        return self._container.duration * (1_000_000_000 // av.time_base) if single and self._container.duration else 0

    def _limit_pictures(self) -> None:
        """Refuse a stream whose container announces larger pictures, and let the decoder refuse those that come later."""
        context = self._stream.codec_context
        context.options = {"max_pixels": str(self._max_pixels)}
        if context.width * context.height > self._max_pixels:
            error = too_large(self._name, context.width, context.height, self._max_pixels)
            self._container.close()
            raise error

    def pts_ns(self, decoded: av.VideoFrame) -> int | None:
        """Return the presentation timestamp of a picture in nanoseconds of the stream's time; None without one."""
        pts = decoded.pts
        return None if pts is None else pts * self._tick_ns // self._ticks

    def missing_at_end(self, last_media_ns: int, last: av.VideoFrame) -> int:
        """Estimate how many pictures are missing at the end of a recording.

        A video that ends more than one second and 5 % before the length in its container was cut off.

        Args:
            last_media_ns: Media time of the last picture in nanoseconds since the first.
            last: The last picture.
        """
        last_duration_ns = max(self.step_ns, (last.duration or 0) * self._tick_ns // self._ticks)
        gap_ns = self._length_ns - last_media_ns - last_duration_ns
        return gap_ns // self.step_ns if gap_ns > max(_END_TOLERANCE_NS, self._length_ns // 20) else 0

    def info(self, first: av.VideoFrame) -> SourceInfo:
        """Return the format of the video, from the container and its first picture."""
        width, height = display_size(first, first.rotation)
        rate = float(self._rate or 0)
        frames = self._frames or (round(self._duration_s * rate) if self._duration_s and rate else None)
        codec = f"{self._codec} ({first.format.name})"
        return SourceInfo(width=width, height=height, fps=rate, frames=frames, duration_s=self._duration_s, codec=codec)

    def frames(self, *, on_decoded: Callable[[float], None], on_damaged: Callable[[int], None], strict: bool) -> Iterator[av.VideoFrame]:
        """Decode until the end of the input or ``close``.

        Args:
            on_decoded: Called with the seconds that decoding a packet took.
            on_damaged: Called with the number of packets or pictures that were skipped.
            strict: Whether a read error ends the iteration (streams); otherwise reading goes on behind it (recordings).

        Raises:
            av.FFmpegError: Reading failed and ``strict`` is set.
        """
        try:
            for pictures in self._batches(on_decoded, on_damaged, strict):
                for picture in pictures:
                    if self._closing.is_set():
                        return
                    if picture.is_corrupt:
                        on_damaged(1)
                    else:
                        yield picture
        finally:
            if self._closing.is_set():
                self.close()

    def _batches(
        self, on_decoded: Callable[[float], None], on_damaged: Callable[[int], None], strict: bool
    ) -> Iterator[list[av.VideoFrame]]:
        """Yield the pictures of each packet, and at the end those that the decoder still holds."""
        packets = self._packets(strict)
        damaged_in_a_row = 0
        while strict or damaged_in_a_row <= _MAX_DAMAGED_PACKETS:
            with self._lock:
                if self._closing.is_set():
                    return
                try:
                    packet = next(packets)
                except StopIteration:
                    break
                pictures = self._decode(packet, on_decoded) if packet is not None else None
            damaged_in_a_row = damaged_in_a_row + 1 if pictures is None else 0
            if pictures is None:
                on_damaged(1)
            else:
                yield pictures
        yield self._flush()

    def _packets(self, strict: bool) -> Iterator[av.Packet[VideoStream] | None]:
        """Yield packets to the end, and None for each read error; an error that persists over several attempts counts once."""
        errors = 0
        while errors <= _MAX_READ_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    yield packet
                return
            except av.FFmpegError:
                if strict:
                    raise
                errors += 1
            if errors == 1:
                yield None

    def _flush(self) -> list[av.VideoFrame]:
        """Return the pictures that the decoder still holds when there are no more packets."""
        with self._lock:
            if self._closing.is_set():
                return []
            try:
                return list(self._stream.codec_context.decode(None))
            except av.FFmpegError:
                return []

    def _decode(self, packet: av.Packet[VideoStream], on_decoded: Callable[[float], None]) -> list[av.VideoFrame] | None:
        """Return the pictures that a packet completes; None for a damaged packet."""
        started = time.perf_counter()
        width_before = self._stream.codec_context.width
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            self._check_size(width_before)
            return None
        on_decoded(time.perf_counter() - started)
        return [picture for picture in pictures if isinstance(picture, av.VideoFrame)]

    def _check_size(self, width_before: int) -> None:
        """Raise after an error of the decoder if the picture was too large: the decoder keeps that size, or sets it to 0."""
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > self._max_pixels or (width_before and not width):
            raise too_large(self._name, width, height, self._max_pixels)

    def close(self) -> None:
        """Ask for the end, and free the container; during a native call, the thread of that call frees it afterwards."""
        self._closing.set()
        if self._lock.acquire(blocking=False):
            try:
                self._container.close()
                if self._on_closed is not None:
                    self._on_closed()
            finally:
                self._lock.release()


def _video_of(container: InputContainer, name: str) -> VideoStream:
    """Return the first video stream that can be decoded; without one, close the container and raise."""
    streams = container.streams.video
    for stream in streams:
        if getattr(stream, "codec_context", None) is not None:  # PyAV returns None for codecs unknown to libav, though its types exclude it
            return stream
    container.close()
    raise SourceFormatError(f"{name}: " + ("holds no video that can be decoded" if streams else "holds no video, only audio or data"))
