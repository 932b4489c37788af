"""RTSP and HTTP streams: one connection, with a limit on every wait. Reconnecting is the runner's business."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer

from ferstream.capture.credentials import with_password
from ferstream.capture.display_name import shown
from ferstream.capture.framing import Framer
from ferstream.capture.libav import VideoInput
from ferstream.capture.libav_errors import timed_out, translated
from ferstream.capture.source import SourceInfo
from ferstream.capture.timing import LiveTimeline
from ferstream.domain.frame import Frame
from ferstream.errors import ConfigError, SourceError, SourceFormatError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

_HTTP_PROTOCOLS = "http,https,tcp,tls,crypto,hls,httpproxy"
_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto,http"
_FORMATS = "rtsp,hls,mpegts,flv,mjpeg,mpjpeg,jpeg_pipe,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,avi,h264,hevc,gif"
# Enough for a key frame's headers, little enough to be connected in a fraction of a second. Not ``fflags=nobuffer``:
# it throws the probed key frame away and waits for the next one, often seconds.
_PROBE = {"probesize": "500000", "analyzeduration": "500000", "fpsprobesize": "0"}
# These demuxers invent stamps at 25 frames/s.
_WITHOUT_STAMPS = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "h264", "hevc"})


class StreamSource:
    """One connection to a camera or media server. ``open`` and ``frames`` belong to one thread."""

    def __init__(
        self,
        *,
        url: str,
        camera: str,
        observer: Observer,
        width: int = 640,
        analysis_fps: float = 0.0,
        transport: str = "tcp",
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 5.0,
        password_file: Path | None = None,
        threads: int = 1,
        clock: Clock | None = None,
    ) -> None:
        """Set up; nothing is connected yet.

        Args:
            url: ``rtsp(s)://`` or ``http(s)://``; a user name may be in it.
            camera: Name of the camera.
            observer: Receives counts and durations.
            width: Wanted longer side of the detection picture in pixels.
            analysis_fps: Frames to analyse per second, 0 for all.
            transport: RTSP over ``tcp`` or ``udp``.
            connect_timeout_s: Longest time to connect, in seconds.
            read_timeout_s: Longest time without data, in seconds.
            password_file: File with the password, read at each connect.
            threads: Decoder threads (slices of one picture, which adds no latency).
            clock: The machine's clocks.

        Raises:
            ConfigError: ``transport`` is unknown.
        """
        if transport not in ("tcp", "udp"):
            raise ConfigError(f'transport "{transport}" is unknown; use "tcp" or "udp"')
        self._url = url
        self._shown = shown(url)
        self._transport, self._password_file = transport, password_file
        self._timeout_s = (connect_timeout_s, read_timeout_s)
        self._threads = threads
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._connection: VideoInput | None = None
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._framer = Framer(
            camera=camera,
            width=width,
            analysis_fps=analysis_fps,
            live=True,
            observer=observer,
            clock=self._clock,
        )

    @property
    def last_activity_ns(self) -> int:
        """Monotonic clock of the last decoded picture; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Connect and read the format.

        Raises:
            SourceAuthError: The credentials are refused.
            SourceTimeoutError: No answer in time.
            SourceFormatError: What came is no video.
            SourceError: Anything else that keeps it from being read.
        """
        container = self._opened(with_password(self._url, self._password_file))
        try:
            self._connection = VideoInput(container=container, threads=self._threads, thread_type="SLICE")
        except SourceFormatError as exc:
            raise SourceFormatError(f"{self._shown}: {exc}") from None
        if self._stop.is_set():
            self._connection.close()
        pictures = self._connection.frames(timed=self._framer.decoding_took, damaged=self._framer.damaged, strict=True)
        first = self._read(pictures)
        if first is None:
            raise SourceFormatError(f"{self._shown}: ended before its first picture")
        self._pictures = chain((first,), pictures)
        return self._connection.info(first)

    def frames(self) -> Iterator[Frame]:
        """Yield frames until ``close``.

        Raises:
            SourceTimeoutError: No data for the read timeout.
            SourceError: The connection broke, or the server ended the stream.
        """
        timeline = LiveTimeline()
        began_ns = self._clock.monotonic_ns()
        while (decoded := self._read(self._pictures)) is not None:
            elapsed_ns = self._clock.monotonic_ns() - began_ns
            media_time_ns = timeline.at(self._stamp_ns(decoded), elapsed_ns)
            if self._too_early(media_time_ns - elapsed_ns):
                return
            frame = self._framer.frame(decoded, media_time_ns)
            if frame is not None:
                yield frame
        if not self._stop.is_set():
            raise SourceError(f"{self._shown}: the server ended the stream")

    def close(self) -> None:
        """Release everything; any thread, more than once; ``frames`` returns within the read timeout."""
        self._stop.set()
        if self._connection is not None:
            self._connection.close()

    def _read(self, pictures: Iterator[av.VideoFrame]) -> av.VideoFrame | None:
        """The next picture, None at the end."""
        started_ns = self._clock.monotonic_ns()
        try:
            return next(pictures, None)
        except av.FFmpegError as exc:
            # The cause holds the URL with its password: it must not be shown in a traceback.
            raise self._told(exc, started_ns, self._timeout_s[1]) from None

    def _stamp_ns(self, decoded: av.VideoFrame) -> int | None:
        connection = self._connection
        if connection is None or connection.format_name in _WITHOUT_STAMPS:
            return None
        return connection.stamp_ns(decoded)

    def _too_early(self, early_ns: int) -> bool:
        """Segments and recordings over HTTP come in bursts: play them at their own speed. True when closed meanwhile."""
        paced = self._url.lower().startswith("http") and early_ns > 0
        return self._stop.wait(early_ns / 1e9) if paced else self._stop.is_set()

    def _opened(self, url: str) -> InputContainer:
        began_ns = self._clock.monotonic_ns()
        started_ns = self._clock.monotonic_ns()
        try:
            return av.open(url, options=self._options(url), timeout=self._timeout_s, metadata_errors="replace")
        except av.FFmpegError as exc:
            # libav calls an RTSP server that is silent until the timeout "invalid data".
            if isinstance(exc, av.error.InvalidDataError) and self._clock.monotonic_ns() - began_ns >= self._timeout_s[0] * 1e9:
                exc = av.error.TimeoutError(0, "silent")
            raise self._told(exc, started_ns, self._timeout_s[0]) from None
        except ValueError:
            raise ConfigError(f"{self._shown}: is no URL that can be opened") from None

    def _options(self, url: str) -> dict[str, str]:
        if not url.lower().startswith("rtsp"):
            return {**_PROBE, "protocol_whitelist": _HTTP_PROTOCOLS, "format_whitelist": _FORMATS}
        own = {"rtsp_transport": self._transport, "allowed_media_types": "video"}
        return {**_PROBE, **own, "protocol_whitelist": _RTSP_PROTOCOLS}

    def _told(self, exc: av.FFmpegError, started_ns: int, limit_s: float) -> SourceError:
        """The error for people; RTSP calls its timeouts invalid data, so the time decides as well."""
        if isinstance(exc, av.error.InvalidDataError) and self._clock.monotonic_ns() - started_ns >= limit_s * 0.99e9:
            return timed_out(self._shown, limit_s)
        return translated(exc, self._shown, limit_s)
