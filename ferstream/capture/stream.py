"""RTSP and HTTP streams: one connection, with a time limit on every wait. ``CameraRunner`` connects again.

``StreamInput`` makes the connections; here its pictures become frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import av

from ferstream.capture.display_name import display_name
from ferstream.capture.framing import Framer
from ferstream.capture.libav import VideoInput
from ferstream.capture.options import Connecting, Decoding, FrameOptions
from ferstream.capture.source import SourceInfo
from ferstream.capture.source_errors import no_picture
from ferstream.capture.stream_input import StreamInput
from ferstream.capture.timing import LiveTimeline
from ferstream.domain.frame import Frame
from ferstream.errors import ConfigError, SourceError, SourceFormatError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

T = TypeVar("T", int, float)
# These demuxers make up timestamps at 25 frames/s.
_WITHOUT_PTS = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "h264", "hevc"})


class StreamSource:
    """One connection to a camera or media server. One thread calls ``open`` and ``frames``."""

    def __init__(
        self,
        *,
        url: str,
        camera: str,
        observer: Observer,
        options: FrameOptions | None = None,
        connecting: Connecting | None = None,
        decoding: Decoding | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up; nothing is connected yet.

        Args:
            url: ``rtsp(s)://`` or ``http(s)://``.
            camera: Name of the camera.
            observer: Receives counts and durations.
            options: Which pictures are analysed, at which size, and how they are turned.
            connecting: Transport, time limits, credentials, and rules for TLS and redirects.
            decoding: Threads of the decoder, and the largest picture.
            clock: The machine's clocks.

        Raises:
            ConfigError: The transport is unknown.
        """
        self._connecting, self._decoding = connecting or Connecting(), decoding or Decoding()
        if self._connecting.transport not in ("tcp", "udp"):
            raise ConfigError(f'transport "{self._connecting.transport}" is unknown; use "tcp" or "udp"')
        self._url, self._name = url, display_name(url)
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._input = StreamInput(url=url, name=self._name, connecting=self._connecting, decoding=self._decoding, clock=self._clock)
        self._video: VideoInput | None = None
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._framer = Framer(camera=camera, options=options or FrameOptions(), live=True, observer=observer, clock=self._clock)

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last decoded picture; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Connect and read the format.

        Raises:
            SourceAuthError: The credentials are refused.
            SourceTimeoutError: The server did not answer, or sent no picture, in time.
            SourceFormatError: The server sent no video that can be decoded.
            SourceError: The stream cannot be read for another reason.
        """
        waiting = _FirstPicture(self._name, within_s=self._connecting.first_picture_within_s, clock=self._clock)
        video = self._video = self._input.open()
        if self._stop.is_set():
            video.close()
        pictures = video.frames(
            on_decoded=_all(waiting.packet_received, self._input.packet_received, then=self._framer.record_decode_time),
            on_damaged=_all(waiting.packet_received, self._input.packet_received, then=self._framer.count_damaged),
            strict=True,
        )
        first = self._next_picture(pictures)
        if first is None:
            raise SourceFormatError(f"{self._name}: ended before its first picture")
        waiting.arrived()
        self._pictures = chain((first,), pictures)
        info = video.info(first, self._framer.video_geometry(first, video.pixel_aspect(first)))
        info = replace(info, choice=self._input.choice or info.choice)
        return replace(info, fps=0.0) if video.format_name in _WITHOUT_PTS else info

    def frames(self) -> Iterator[Frame]:
        """Yield frames until ``close``.

        Raises:
            SourceTimeoutError: No data arrived within the read timeout.
            SourceError: The connection broke, or the server ended the stream.
        """
        timeline = LiveTimeline()
        started_ns = self._clock.monotonic_ns()
        while (decoded := self._next_picture(self._pictures)) is not None:
            elapsed_ns = self._clock.monotonic_ns() - started_ns
            media_time_ns = timeline.at(self._pts_ns(decoded), elapsed_ns)
            if self._wait_until_due(media_time_ns - elapsed_ns):
                return
            frame = self._framer.video_frame(decoded, media_time_ns, self._pixel_aspect(decoded))
            if frame is not None:
                yield frame
        if not self._stop.is_set():
            raise SourceError(f"{self._name}: the server ended the stream")

    def close(self) -> None:
        """Release everything; any thread, more than once. ``frames`` returns within the read timeout."""
        self._stop.set()
        self._input.close()
        if self._video is not None:
            self._video.close()

    def _next_picture(self, pictures: Iterator[av.VideoFrame]) -> av.VideoFrame | None:
        """Return the next picture, None at the end of the stream."""
        started_ns = self._clock.monotonic_ns()
        try:
            return next(pictures, None)
        except av.FFmpegError as exc:
            # Without the cause: it holds the URL with the password, which a traceback would show.
            raise self._input.read_error(exc, started_ns) from None

    def _pts_ns(self, decoded: av.VideoFrame) -> int | None:
        video = self._video
        if video is None or video.format_name in _WITHOUT_PTS:
            return None
        return video.pts_ns(decoded)

    def _pixel_aspect(self, decoded: av.VideoFrame) -> float:
        return 1.0 if self._video is None else self._video.pixel_aspect(decoded)

    def _wait_until_due(self, early_ns: int) -> bool:
        """Wait until a picture over HTTP is due, since segments arrive in bursts; return True when the source was closed."""
        paced = self._url.lower().startswith("http") and early_ns > 0
        return self._stop.wait(early_ns / 1e9) if paced else self._stop.is_set()


class _FirstPicture:
    """Ends the wait for a first picture while packets arrive that give none. The reading thread."""

    def __init__(self, name: str, *, within_s: float, clock: Clock) -> None:
        self._name, self._within_s, self._clock = name, within_s, clock
        self._until_ns: int | None = clock.monotonic_ns() + int(within_s * 1e9)

    def arrived(self) -> None:
        """End the limit."""
        self._until_ns = None

    def packet_received(self) -> None:
        """Raise SourceTimeoutError if the time is over."""
        if self._until_ns is not None and self._clock.monotonic_ns() > self._until_ns:
            raise no_picture(self._name, self._within_s)


def _all(*received: Callable[[], None], then: Callable[[T], None]) -> Callable[[T], None]:
    """Return a function that calls all of them. It has no reference to the source, which is freed with its last reference."""

    def call(value: T) -> None:
        for function in received:
            function()
        then(value)

    return call
