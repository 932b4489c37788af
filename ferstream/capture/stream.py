"""RTSP and HTTP streams: one connection, with a time limit on every wait. ``CameraRunner`` connects again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain

import av
from av.container import InputContainer

from ferstream.capture.credentials import url_with_credentials
from ferstream.capture.display_name import display_name
from ferstream.capture.framing import Framer
from ferstream.capture.libav import VideoInput
from ferstream.capture.libav_errors import timeout_error, translate_error
from ferstream.capture.options import Connecting, Decoding
from ferstream.capture.source import SourceInfo
from ferstream.capture.timing import LiveTimeline
from ferstream.domain.frame import Frame
from ferstream.errors import ConfigError, SourceError, SourceFormatError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

_HTTP_PROTOCOLS = "http,https,tcp,tls,crypto,hls,httpproxy"
_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto,http"
_FORMATS = "rtsp,hls,mpegts,flv,mjpeg,mpjpeg,jpeg_pipe,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,avi,h264,hevc,gif"
# Large enough for the headers of a key frame, small enough to connect in a fraction of a second. ``fflags=nobuffer`` is not
# used: it discards the probed key frame and waits for the next one, often for seconds.
_PROBE = {"probesize": "500000", "analyzeduration": "500000", "fpsprobesize": "0"}
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
        width: int = 640,
        analysis_fps: float = 0.0,
        connecting: Connecting | None = None,
        decoding: Decoding | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up; nothing is connected yet.

        Args:
            url: ``rtsp(s)://`` or ``http(s)://``.
            camera: Name of the camera.
            observer: Receives counts and durations.
            width: Wanted longer side of the detection image in pixels.
            analysis_fps: Frames to analyse per second, 0 for all.
            connecting: Transport, time limits and credentials.
            decoding: Threads of the decoder.
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
        self._video: VideoInput | None = None
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._framer = Framer(camera=camera, width=width, analysis_fps=analysis_fps, live=True, observer=observer, clock=self._clock)

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last decoded picture; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Connect and read the format.

        Raises:
            SourceAuthError: The credentials are refused.
            SourceTimeoutError: The server did not answer in time.
            SourceFormatError: The server sent no video that can be decoded.
            SourceError: The stream cannot be read for another reason.
        """
        container = self._open_container(url_with_credentials(self._url, self._connecting.credentials, self._connecting.password_file))
        try:
            video = self._video = VideoInput(container=container, decoding=self._decoding)
        except SourceFormatError as exc:
            raise SourceFormatError(f"{self._name}: {exc}") from None
        if self._stop.is_set():
            video.close()
        pictures = video.frames(on_decoded=self._framer.record_decode_time, on_damaged=self._framer.count_damaged, strict=True)
        first = self._next_picture(pictures)
        if first is None:
            raise SourceFormatError(f"{self._name}: ended before its first picture")
        self._pictures = chain((first,), pictures)
        return video.info(first)

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
            frame = self._framer.video_frame(decoded, media_time_ns)
            if frame is not None:
                yield frame
        if not self._stop.is_set():
            raise SourceError(f"{self._name}: the server ended the stream")

    def close(self) -> None:
        """Release everything; any thread, more than once. ``frames`` returns within the read timeout."""
        self._stop.set()
        if self._video is not None:
            self._video.close()

    def _next_picture(self, pictures: Iterator[av.VideoFrame]) -> av.VideoFrame | None:
        """Return the next picture, None at the end of the stream."""
        started_ns = self._clock.monotonic_ns()
        try:
            return next(pictures, None)
        except av.FFmpegError as exc:
            # Without the cause: it holds the URL with the password, which a traceback would show.
            raise self._source_error(exc, started_ns, self._connecting.read_timeout_s) from None

    def _pts_ns(self, decoded: av.VideoFrame) -> int | None:
        video = self._video
        if video is None or video.format_name in _WITHOUT_PTS:
            return None
        return video.pts_ns(decoded)

    def _wait_until_due(self, early_ns: int) -> bool:
        """Wait until a picture over HTTP is due, since segments arrive in bursts; return True when the source was closed."""
        paced = self._url.lower().startswith("http") and early_ns > 0
        return self._stop.wait(early_ns / 1e9) if paced else self._stop.is_set()

    def _open_container(self, url: str) -> InputContainer:
        started_ns = self._clock.monotonic_ns()
        timeout_s = (self._connecting.connect_timeout_s, self._connecting.read_timeout_s)
        try:
            return av.open(url, options=self._options(url), timeout=timeout_s, metadata_errors="replace")
        except av.FFmpegError as exc:
            raise self._source_error(exc, started_ns, self._connecting.connect_timeout_s) from None
        except ValueError:
            raise ConfigError(f"{self._name}: is not a valid URL") from None

    def _options(self, url: str) -> dict[str, str]:
        """Return libav's options: what may be opened, and how long to probe."""
        if not url.lower().startswith("rtsp"):
            return {**_PROBE, "protocol_whitelist": _HTTP_PROTOCOLS, "format_whitelist": _FORMATS}
        own = {"rtsp_transport": self._connecting.transport, "allowed_media_types": "video"}
        return {**_PROBE, **own, "protocol_whitelist": _RTSP_PROTOCOLS}

    def _source_error(self, exc: av.FFmpegError, started_ns: int, limit_s: float) -> SourceError:
        """Translate an error. libav reports an RTSP timeout as invalid data, so the time of the call decides too."""
        if isinstance(exc, av.error.InvalidDataError) and self._clock.monotonic_ns() - started_ns >= limit_s * 0.99e9:
            return timeout_error(self._name, limit_s)
        return translate_error(exc, self._name, limit_s)
