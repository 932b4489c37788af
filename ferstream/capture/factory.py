"""Makes the source that reads a camera, from the ``source`` line of the settings.

A new kind of source is one function and one entry of ``_MAKERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ferstream.capture.credentials import Credentials
from ferstream.capture.demo import DemoSource
from ferstream.capture.display_name import display_name
from ferstream.capture.file_bytes import is_pipe
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS, PictureOptions
from ferstream.capture.options import MAX_PIXELS, Connecting, Decoding, FrameOptions, Playback
from ferstream.capture.recording import FileSource
from ferstream.capture.source import Source
from ferstream.capture.stream import StreamSource
from ferstream.capture.webcam import WebcamSource
from ferstream.errors import ConfigError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """The settings of a camera beside its source; plain values.

    Attributes:
        width: Wanted longer side of the detection image in pixels.
        analysis_fps: Frames to analyse per second, 0 for all.
        loop: Recordings: start again at the end.
        realtime: Recordings only: play at media speed, as a camera would.
        threads: Decoder threads.
        thread_type: libav's ``SLICE``, ``FRAME`` or ``AUTO``; streams always use ``SLICE``, which adds no latency.
        transport: RTSP over ``tcp`` or ``udp``.
        connect_timeout_s: Streams: longest time to connect, in seconds.
        read_timeout_s: Streams: longest time without data, in seconds.
        open_timeout_s: Streams: longest time from connecting to the first picture, in seconds.
        snapshot_interval_s: Addresses that answer with one JPEG picture: seconds from one request to the next.
        credentials: Streams: user name and password; None to use those in the URL, if any.
        password_file: Streams: file that holds the password, read at each connect; it wins over any other password.
        tls_verify: ``https`` and ``rtsps``: whether the server's certificate must be valid.
        ca_file: ``https`` and ``rtsps``: PEM file of the certificates to trust; None for those of the system.
        allow_inward_redirects: Streams: whether redirects and playlists may lead further inside the network.
        max_pixels: Streams and recordings: width times height of the largest picture.
        picture: Rotation, mirror and pixel aspect.
    """

    width: int = 640
    analysis_fps: float = 0.0
    loop: bool = False
    realtime: bool = False
    threads: int = 1
    thread_type: str = "SLICE"
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
    max_pixels: int = MAX_PIXELS
    picture: PictureOptions = AS_THE_SOURCE_SAYS


def open_source(
    source: str, *, camera: str, observer: Observer, options: SourceOptions | None = None, clock: Clock | None = None
) -> Source:
    """Make a source; nothing is opened yet.

    Args:
        source: ``rtsp(s)://``, ``http(s)://``, a path, ``file:path``, ``-`` (stdin), ``webcam:N`` or ``demo:``.
        camera: Name of the camera.
        observer: Receives counts and durations.
        options: The camera's other settings.
        clock: The machine's clocks.

    Raises:
        ConfigError: The source has none of these forms.
    """
    make = _maker(source)
    return make(source, camera, observer, options or SourceOptions(), clock or SystemClock())


def is_live(source: str, *, realtime: bool = False) -> bool:
    """Return True for sources that do not wait for the pipeline: cameras, streams, the demo, recordings in real time."""
    return realtime or _maker(source) is not _file


def reads_once(source: str) -> bool:
    """Return True for a pipe or the standard input: what one process has read of it, no other can read."""
    return _maker(source) is _file and is_pipe(_path(source))


_Maker = Callable[[str, str, Observer, SourceOptions, Clock], Source]


def _maker(source: str) -> _Maker:
    scheme = _scheme(source)
    if scheme not in _MAKERS or not source.strip():
        raise ConfigError(f'source "{display_name(source)}" is not supported; use rtsp(s)://..., http(s)://..., a file, webcam:0 or demo:')
    return _MAKERS[scheme]


def _scheme(source: str) -> str:
    """Return the scheme in lower case; empty for a path, also for one like ``C:video.mp4`` or ``a/b:c``."""
    head, colon, _ = source.partition(":")
    if not colon or "/" in head or len(head) == 1 or _is_file(source):
        return ""
    return head.lower()


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except OSError:  # not a valid file name, such as a very long URL
        return False


def _frame_options(options: SourceOptions) -> FrameOptions:
    return FrameOptions(width=options.width, analysis_fps=options.analysis_fps, picture=options.picture)


def _stream(source: str, camera: str, observer: Observer, options: SourceOptions, clock: Clock) -> Source:
    if not _hostname(source):
        raise ConfigError(f'source "{display_name(source)}" names no host; write rtsp://host/path')
    return StreamSource(
        url=source,
        camera=camera,
        observer=observer,
        options=_frame_options(options),
        connecting=Connecting(
            transport=options.transport,
            connect_timeout_s=options.connect_timeout_s,
            read_timeout_s=options.read_timeout_s,
            open_timeout_s=options.open_timeout_s,
            snapshot_interval_s=options.snapshot_interval_s,
            credentials=options.credentials,
            password_file=options.password_file,
            tls_verify=options.tls_verify,
            ca_file=options.ca_file,
            allow_inward_redirects=options.allow_inward_redirects,
        ),
        decoding=Decoding(threads=options.threads, max_pixels=options.max_pixels),
        clock=clock,
    )


def _hostname(source: str) -> str | None:
    try:
        return urlsplit(source).hostname
    except ValueError:
        raise ConfigError(f'source "{display_name(source)}" is not a valid URL; write rtsp://host/path') from None


def _file(source: str, camera: str, observer: Observer, options: SourceOptions, clock: Clock) -> Source:
    return FileSource(
        path=_path(source),
        camera=camera,
        observer=observer,
        options=_frame_options(options),
        playback=Playback(loop=options.loop, realtime=options.realtime),
        decoding=Decoding(threads=options.threads, thread_type=options.thread_type, max_pixels=options.max_pixels),
        clock=clock,
    )


def _path(source: str) -> Path:
    if _scheme(source) != "file":
        return _expand_home(source)
    rest = source[len("file:") :]
    if not rest.startswith("//"):
        return _expand_home(rest)
    try:
        return Path(unquote(urlsplit(source).path))
    except ValueError:
        raise ConfigError(f'source "{display_name(source)}" is not a valid file URL; write file:///path or only the path') from None


def _expand_home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~name without such a user: a file name like any other
        return Path(path)


def _webcam(source: str, camera: str, observer: Observer, options: SourceOptions, clock: Clock) -> Source:
    number = source.partition(":")[2]
    if not number.isdecimal():
        raise ConfigError(f'source "{display_name(source)}" names no webcam; write webcam:0 for /dev/video0')
    return WebcamSource(
        number=int(number),
        camera=camera,
        observer=observer,
        options=_frame_options(options),
        clock=clock,
    )


def _demo(source: str, camera: str, observer: Observer, options: SourceOptions, clock: Clock) -> Source:
    return DemoSource(
        camera=camera,
        observer=observer,
        options=_frame_options(options),
        clock=clock,
    )


_MAKERS: dict[str, _Maker] = {
    "": _file,
    "file": _file,
    "webcam": _webcam,
    "demo": _demo,
    "rtsp": _stream,
    "rtsps": _stream,
    "http": _stream,
    "https": _stream,
}
"""What makes the source of each scheme; a path has no scheme."""
