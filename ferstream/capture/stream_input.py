"""Opens RTSP and HTTP streams for libav. The password and the rules for TLS, hosts and sizes are applied here.

RTSP is asked for redirects (``rtsp_probe``) and then read by libav. HTTP is read by ferstream for libav (``http_input``).
"""

from __future__ import annotations

import errno

import av
from av.container import InputContainer

from ferstream.capture.credentials import read_credentials
from ferstream.capture.host_guard import HostGuard
from ferstream.capture.http_input import HttpInput
from ferstream.capture.http_session import HttpSession
from ferstream.capture.libav import VideoInput
from ferstream.capture.libav_errors import translate_error
from ferstream.capture.libav_memory import limit_libav_memory
from ferstream.capture.options import Connecting, Decoding
from ferstream.capture.rtsp_probe import RtspProbe
from ferstream.capture.source_errors import no_udp_data, no_video, nothing_of_playlist, other_transport, silent, timeout_error
from ferstream.capture.tls import libav_options
from ferstream.errors import ConfigError, SourceError, SourceTimeoutError
from ferstream.runtime.clock import Clock

_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto"
_FORMATS = "rtsp,hls,mpegts,flv,mjpeg,mpjpeg,jpeg_pipe,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,avi,h264,hevc,gif"
# Large enough for the headers of a key frame, small enough to connect in a fraction of a second. ``fflags=nobuffer`` is not
# used: it discards the probed key frame and waits for the next one, often for seconds.
_PROBE = {"probesize": "500000", "analyzeduration": "500000", "fpsprobesize": "0"}
# libav opens nothing itself: ``HttpInput`` gets every URL that a playlist names, and refuses other protocols. So libav need
# not guess from a file name's extension what is safe to open. ``http_persistent`` and ``http_multiple`` would let it make
# connections of its own.
_HTTP = {
    "protocol_whitelist": "http,https,tcp,tls,hls",
    "format_whitelist": _FORMATS,
    "http_persistent": "0",
    "http_multiple": "0",
    "allowed_extensions": "ALL",
    "allowed_segment_extensions": "ALL",
    "extension_picky": "0",
}


class StreamInput:
    """One connection to a camera. One thread opens and reads, any thread may close."""

    def __init__(self, *, url: str, name: str, connecting: Connecting, decoding: Decoding, clock: Clock) -> None:
        """Set up; nothing is connected yet.

        Args:
            url: ``rtsp(s)://`` or ``http(s)://``.
            name: Name of the source for messages.
            connecting: Transport, time limits, credentials, and rules for TLS and redirects.
            decoding: Threads of the decoder, and the largest picture.
            clock: Monotonic time.
        """
        self._url, self._name = url, name
        self._connecting, self._decoding, self._clock = connecting, decoding, clock
        self._session: HttpSession | None = None
        self._http: HttpInput | None = None
        self._closed = False

    def open(self) -> VideoInput:
        """Connect and read the format.

        Raises:
            SourceError: The stream cannot be read; subclasses tell the cause.
            ConfigError: The URL is not valid.
        """
        connecting = self._connecting
        credentials = read_credentials(self._url, connecting.credentials, connecting.password_file)
        try:
            guard = HostGuard(self._url, name=self._name, connecting=connecting, credentials=credentials)
        except ValueError:
            raise ConfigError(f"{self._name}: is not a valid URL") from None
        return self._open_rtsp(guard) if guard.configured.scheme.startswith("rtsp") else self._open_http(guard)

    def packet_received(self) -> None:
        """Reset the limits on data that is not a picture."""
        if self._session is not None:
            self._session.packet_received()

    def close(self) -> None:
        """End every wait for HTTP; libav's own waits end with their time limits. Any thread, more than once."""
        self._closed = True
        if self._http is not None:
            self._http.close()

    @property
    def choice(self) -> str:
        """What was taken where there was a choice, for people; empty before ``open`` and without a choice."""
        return "" if self._http is None else self._http.choice

    def read_error(self, exc: av.FFmpegError, started_ns: int) -> SourceError:
        """Translate an error of reading; see ``_error``."""
        limit_s = self._connecting.read_timeout_s
        error = self._error(exc, started_ns, limit_s)
        if not isinstance(error, SourceTimeoutError):
            return error
        udp = self._session is None and self._connecting.transport == "udp"
        return no_udp_data(self._name, limit_s) if udp else silent(self._name, limit_s)

    def _error(self, exc: av.FFmpegError, started_ns: int, limit_s: float) -> SourceError:
        """Translate an error. libav reports an RTSP timeout as invalid data, so the time of the call decides too.

        Args:
            exc: What libav raised.
            started_ns: Monotonic time when the call began.
            limit_s: The time limit of the call in seconds.
        """
        if isinstance(exc, av.error.InvalidDataError) and self._clock.monotonic_ns() - started_ns >= limit_s * 0.99e9:
            return timeout_error(self._name, limit_s)
        if self._session is None and exc.errno == errno.EPROTONOSUPPORT:
            return other_transport(self._name, self._connecting.transport)
        if self._http is not None and isinstance(exc, av.error.InvalidDataError):
            failure = self._http.failure
            return no_video(self._name, self._http.media_type) if failure is None else nothing_of_playlist(self._name, failure)
        return translate_error(exc, self._name, limit_s)

    def _open_rtsp(self, guard: HostGuard) -> VideoInput:
        connecting = self._connecting
        url = RtspProbe(guard, name=self._name, timeout_s=connecting.connect_timeout_s, clock=self._clock).url_for_libav()
        options = {"rtsp_transport": connecting.transport, "allowed_media_types": "video", "protocol_whitelist": _RTSP_PROTOCOLS}
        if url.startswith("rtsps"):
            options |= libav_options(connecting.ca_file, verify=connecting.tls_verify)
        return VideoInput(container=self._container(url, options), decoding=self._decoding, name=self._name)

    def _open_http(self, guard: HostGuard) -> VideoInput:
        session = self._session = HttpSession(
            guard,
            name=self._name,
            connecting=self._connecting,
            max_picture_bytes=self._decoding.max_pixels,  # a byte for each pixel is more than any codec needs
            clock=self._clock,
        )
        http = self._http = HttpInput(
            session, max_pixels=self._decoding.max_pixels, snapshot_interval_s=self._connecting.snapshot_interval_s
        )
        if self._closed:
            http.close()
        try:
            demuxer = http.open()
            container = self._container(http.url, _HTTP, demuxer, http)
            video = VideoInput(container=container, decoding=self._decoding, name=self._name, on_closed=http.release)
        except BaseException:
            http.release()
            raise
        session.opened()
        return video

    def _container(self, url: str, options: dict[str, str], demuxer: str | None = None, http: HttpInput | None = None) -> InputContainer:
        started_ns = self._clock.monotonic_ns()
        limit_s = self._connecting.connect_timeout_s
        limit_libav_memory(self._decoding.max_pixels)
        try:
            return av.open(
                url,
                format=demuxer,
                options=_PROBE | options,
                timeout=(limit_s, self._connecting.read_timeout_s),
                metadata_errors="replace",
                io_open=None if http is None else http.open_url,
            )
        except av.FFmpegError as exc:
            raise self._error(exc, started_ns, limit_s) from None
        except ValueError:
            raise ConfigError(f"{self._name}: is not a valid URL") from None
