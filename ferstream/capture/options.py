"""Options that several sources share; plain values without any work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferstream.capture.credentials import Credentials
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS, PictureOptions

MAX_PIXELS = 64_000_000
"""Default of the largest picture that is decoded, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """Which pictures of a source are analysed, and how.

    Attributes:
        width: Wanted longer side of the detection image in pixels.
        analysis_fps: Frames to analyse per second of media time, 0 for all.
        picture: Rotation, mirror and pixel aspect from the settings.
    """

    width: int = 640
    analysis_fps: float = 0.0
    picture: PictureOptions = AS_THE_SOURCE_SAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How libav decodes.

    Attributes:
        threads: Decoder threads.
        thread_type: libav's ``SLICE`` (adds no latency), ``FRAME`` or ``AUTO``.
        max_pixels: Width times height of the largest picture that is decoded.
    """

    threads: int = 1
    thread_type: str = "SLICE"
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """How a recording is played.

    Attributes:
        loop: Start again at the end; frame numbers and media times continue.
        realtime: Play at media speed, as a camera would; frames are then ``live``.
        speed: Without ``realtime``: play at so many times media speed and drop nothing; 0 = as fast as possible.
        start_ns: Without ``realtime``: UTC of the first frame in nanoseconds; None reads it from the file (``creation_time``).
    """

    loop: bool = False
    realtime: bool = False
    speed: float = 0.0
    start_ns: int | None = None

    @property
    def pace(self) -> float:
        """Media seconds per second; 0 = as fast as possible."""
        return 1.0 if self.realtime else self.speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Connecting:
    """How a stream is connected.

    Attributes:
        transport: RTSP over ``tcp`` or ``udp``.
        connect_timeout_s: Longest time to connect, in seconds.
        read_timeout_s: Longest time without data, in seconds.
        open_timeout_s: Longest time from connecting to the first picture, in seconds; longer where the two others need it.
        snapshot_interval_s: Seconds from one request to the next at an address that answers with one JPEG picture.
        credentials: User name and password; None to use those in the URL, if any.
        password_file: File that holds the password, read at each connect.
        tls_verify: Whether the certificate of an ``https`` or ``rtsps`` server must be valid.
        ca_file: PEM file of the certificates to trust; None for those of the system.
        allow_inward_redirects: Whether redirects and playlists may lead to loopback, link-local or private addresses
            from a host that is further outside.
    """

    transport: str = "tcp"
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 5.0
    open_timeout_s: float = 30.0
    snapshot_interval_s: float = 0.5
    credentials: Credentials | None = None
    password_file: Path | None = None
    tls_verify: bool = True
    ca_file: Path | None = None
    allow_inward_redirects: bool = False

    @property
    def first_picture_within_s(self) -> float:
        """Longest time from connecting to the first picture, in seconds."""
        return max(self.open_timeout_s, self.connect_timeout_s + self.read_timeout_s)
