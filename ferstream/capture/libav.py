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
from contextlib import nullcontext
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ferstream.capture.completeness import Arrivals, missing_pictures, promise_of
from ferstream.capture.container_end import ContainerEnd, find_end
from ferstream.capture.decoder_errors import DecoderErrors
from ferstream.capture.file_bytes import FileBytes
from ferstream.capture.formats import longest_gap_ns
from ferstream.capture.geometry import AS_STORED, Geometry
from ferstream.capture.options import Decoding
from ferstream.capture.pixel_aspects import PixelAspects
from ferstream.capture.source import SourceInfo
from ferstream.capture.source_errors import too_large
from ferstream.capture.stream_choice import choose_video, describe_choice

_MAX_DAMAGED_PACKETS = 256
"""So many damaged packets in a row end a recording."""
_MAX_READ_ERRORS = 16
"""So many read errors in a row end a recording."""
_DEFAULT_STEP_NS = 40_000_000
_MAX_STEP_NS = 10_000_000_000
_MAX_RATE = 1000
"""A higher rate is that of the clock, not of the pictures."""
_DURATION_FROM_ZERO = ("matroska,webm", "flv")


class VideoInput:
    """An opened container and one video stream of it; packets of the other streams are discarded.

    Args:
        container: The opened container; owned and closed by this object.
        decoding: Threads of the decoder, and the largest picture.
        name: Name of the source for messages.
        on_closed: Called after the container was closed.
        errors: Counts what the decoder logs.

    Raises:
        SourceFormatError: The container has no video that can be decoded, or too large pictures; it is closed then.
    """

    def __init__(
        self,
        *,
        container: InputContainer,
        decoding: Decoding,
        name: str = "video",
        on_closed: Callable[[], None] | None = None,
        errors: DecoderErrors | None = None,
    ) -> None:
        self._container, self._stream, self._on_closed = container, choose_video(container, name), on_closed
        self._name, self._max_pixels, self._errors = name, decoding.max_pixels, errors
        self._limit_pictures()
        self._stream.codec_context.thread_count = decoding.threads
        self._stream.codec_context.thread_type = decoding.thread_type
        base = self._stream.time_base or Fraction(1, av.time_base)
        self._tick_ns, self._ticks = base.numerator * 1_000_000_000, base.denominator
        self.time_base: tuple[int, int] = (base.numerator, base.denominator)
        """Seconds of a tick of the stream's time, as numerator and denominator."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        rates = (self._stream.average_rate, self._stream.guessed_rate, self._stream.base_rate)
        self._rate = next((rate for rate in rates if rate and rate <= _MAX_RATE), None)
        self._duration_s = self._read_duration_s()
        self._promise, self._indexed = promise_of(container, self._stream), 0
        self._arrivals = Arrivals(tick_ns=self._tick_ns, ticks=self._ticks, by_dts=self._promise.numbered)
        self._choice = describe_choice(container, self._stream)
        self._frames = self._stream.frames
        self.codec_name: str = self._stream.codec_context.name
        """Name of the decoder."""
        self._aspects = PixelAspects(self._stream.sample_aspect_ratio, self._stream.codec_context.sample_aspect_ratio)
        self.metadata: dict[str, str] = dict(container.metadata)
        """Tags of the container."""
        self.stream_metadata: dict[str, str] = dict(self._stream.metadata)
        """Tags of the video stream."""
        self.format_name: str = container.format.name
        """Name of the demuxer."""
        self.longest_gap_ns: int = longest_gap_ns(container.format)
        """Longest time between two pictures that is not a jump of the clock, in nanoseconds."""
        self.step_ns: int = min(max(1, round(1_000_000_000 / self._rate)), _MAX_STEP_NS) if self._rate else _DEFAULT_STEP_NS
        """Nominal time from frame to frame in nanoseconds."""

    def _read_duration_s(self) -> float | None:
        """Return the duration in seconds; that of Matroska and FLV counts from 0, not from the first picture."""
        duration, start = self._container.duration or 0, self._container.start_time or 0
        if self._container.format.name in _DURATION_FROM_ZERO and 0 < start < duration:
            duration -= start
        return duration / av.time_base if duration else None

    def _limit_pictures(self) -> None:
        """Refuse a stream whose container announces larger pictures, and let the decoder refuse those that come later."""
        context = self._stream.codec_context
        context.options = {"max_pixels": str(self._max_pixels)}
        if context.width * context.height > self._max_pixels:
            error = too_large(self._name, context.width, context.height, self._max_pixels)
            self._container.close()
            raise error

    @property
    def rate(self) -> Fraction | None:
        """Pictures per second, as the container states or as guessed from it; None if unknown."""
        return self._rate

    def pts_ns(self, decoded: av.VideoFrame) -> int | None:
        """Return the presentation timestamp of a picture in nanoseconds of the stream's time; None without one."""
        return None if decoded.pts is None else self.time_ns(decoded.pts)

    def time_ns(self, pts: int) -> int:
        """Return a timestamp of the stream in nanoseconds of the stream's time."""
        return pts * self._tick_ns // self._ticks

    def seek(self, pts: int) -> None:
        """Go to the last key frame that is not later than a timestamp; before the first call of ``frames``.

        Raises:
            av.FFmpegError: The container cannot be read from there.
        """
        with self._lock:
            if not self._closing.is_set():
                self._container.seek(pts, stream=self._stream, backward=True)

    def index_reaches(self, pts: int) -> bool:
        """Return whether libav knows where the pictures up to a timestamp are, without reading what is before them.

        Indexes of Matroska are read by the first seek, so call ``seek`` before, to a timestamp near the beginning.
        """
        with self._lock:
            entries = () if self._closing.is_set() else self._stream.index_entries
            return len(entries) > 0 and entries[len(entries) - 1].timestamp >= pts

    def packets(self) -> Iterator[av.Packet[VideoStream] | None]:
        """Yield all packets of the video without decoding any, and None for each read error; instead of ``frames``."""
        packets = self._packets(strict=False)
        while True:
            with self._lock:
                if self._closing.is_set():
                    return
                try:
                    packet = next(packets)
                except StopIteration:
                    self._indexed = len(self._stream.index_entries)
                    return
            yield packet

    def missing_at_end(self, data: FileBytes | None = None) -> int:
        """Return how many pictures are missing at the end of a recording that was read to its end.

        Args:
            data: The bytes of the recording; None if only what libav says is compared.
        """
        end = ContainerEnd() if data is None else find_end(data, self.format_name, self._arrivals.last_packet)
        return missing_pictures(self._promise, self._arrivals, indexed=self._indexed, end=end, step_ns=self.step_ns)

    def pixel_aspect(self, decoded: av.VideoFrame) -> float:
        """Return the width of a picture's pixels divided by their height, as stored."""
        return self._aspects.at(decoded.pts)

    def info(self, first: av.VideoFrame, geometry: Geometry = AS_STORED) -> SourceInfo:
        """Return the format of the video, from the container and its first picture.

        Args:
            first: The first picture.
            geometry: How it is displayed.
        """
        width, height = geometry.size((first.width, first.height))
        rate = float(self._rate or 0)
        frames = self._frames or (round(self._duration_s * rate) if self._duration_s and rate else None)
        codec = f"{self.codec_name} ({first.format.name})"
        return SourceInfo(
            width=width,
            height=height,
            fps=rate,
            frames=frames,
            duration_s=self._duration_s,
            codec=codec,
            pixel_aspect=geometry.displayed_pixel_aspect,
            choice=self._choice,
        )

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
                    self._arrivals.add(packet)
                    yield packet
                return
            except IndexError:  # PyAV's own, behind the last packet, if a stream began in the middle of the file
                return
            except av.FFmpegError:
                if strict:
                    raise
                errors += 1
            if errors == 1:
                self._arrivals.add_error()
                yield None

    def _flush(self) -> list[av.VideoFrame]:
        """Return the pictures that the decoder still holds when there are no more packets."""
        with self._lock:
            if self._closing.is_set():
                return []
            self._indexed = len(self._stream.index_entries)
            try:
                return list(self._stream.codec_context.decode(None))
            except av.FFmpegError:
                return []

    def _decode(self, packet: av.Packet[VideoStream], on_decoded: Callable[[float], None]) -> list[av.VideoFrame] | None:
        """Return the pictures that a packet completes; None for a damaged packet."""
        started = time.perf_counter()
        width_before = self._stream.codec_context.width
        try:
            with nullcontext() if self._errors is None else self._errors.watching(packet):
                pictures = packet.decode()
        except av.FFmpegError:
            self._check_size(width_before)
            return None
        on_decoded(time.perf_counter() - started)
        self._aspects.packet_decoded(self._stream.codec_context.sample_aspect_ratio, packet.pts)
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
