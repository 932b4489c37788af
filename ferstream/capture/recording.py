"""Recordings: every frame, in order, with times that depend on the file's content only."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path

import av

from ferstream.capture.display_name import shown
from ferstream.capture.framing import Framer
from ferstream.capture.libav import VideoInput
from ferstream.capture.source import SourceInfo
from ferstream.capture.timing import MediaTimeline
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError, SourceFormatError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

# Containers a recording may be. Left out on purpose: playlists (they name other files and hosts) and the
# demuxers that would read a text file as a picture.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,flv,ogg,asf,ivf,nut,mxf,h264,hevc,mjpeg,"
    "m4v,mpegvideo,apng,png_pipe,jpeg_pipe,webp_pipe,yuv4mpegpipe,wtv,dv"
)
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


class FileSource:
    """One or, with ``loop``, endless passes over a recording. ``open`` and ``frames`` belong to one thread."""

    def __init__(
        self,
        *,
        path: Path,
        camera: str,
        observer: Observer,
        width: int = 640,
        analysis_fps: float = 0.0,
        loop: bool = False,
        realtime: bool = False,
        speed: float = 0.0,
        threads: int = 1,
        thread_type: str = "SLICE",
        clock: Clock | None = None,
    ) -> None:
        """Set up; nothing is opened yet.

        Args:
            path: The recording.
            camera: Name of the camera it stands for.
            observer: Receives counts and durations.
            width: Wanted longer side of the detection picture in pixels.
            analysis_fps: Frames to analyse per second of media time, 0 for all.
            loop: Start again at the end; times and numbers go on.
            realtime: Play at media speed, as a camera would; frames are then ``live``.
            speed: Without ``realtime``: play at so many times media speed, nothing dropped; 0 = as fast as it goes.
            threads: Decoder threads.
            thread_type: libav's ``SLICE``, ``FRAME`` or ``AUTO``.
            clock: The machine's clocks.
        """
        self._path, self._shown = path, shown(str(path))
        self._loop, self._realtime = loop, realtime
        self._pace = 1.0 if realtime else speed
        self._threads, self._thread_type = threads, thread_type
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._connection: VideoInput | None = None
        self._first: av.VideoFrame | None = None
        self._rest: Iterator[av.VideoFrame] = iter(())
        self._framer = Framer(
            camera=camera,
            width=width,
            analysis_fps=analysis_fps,
            live=realtime,
            observer=observer,
            clock=self._clock,
        )

    @property
    def last_activity_ns(self) -> int:
        """Monotonic clock of the last decoded picture; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Open the file and read its format.

        Raises:
            SourceError: It is missing, unreadable, no video, cut off, or has no picture in it.
        """
        connection, self._first, self._rest = self._begun()
        self._framer.utc_origin_ns = None if self._realtime else _creation_ns(connection.metadata)
        return connection.info(self._first)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse; damaged ones are skipped and counted.

        Raises:
            SourceError: The file of a ``loop`` cannot be opened again.
        """
        started_ns, start_ns = self._clock.monotonic_ns(), 0
        while self._connection is not None and self._first is not None and not self._stop.is_set():
            timeline = MediaTimeline(step_ns=self._connection.step_ns, start_ns=start_ns)
            for decoded in chain((self._first,), self._rest):
                media_time_ns = timeline.at(self._connection.stamp_ns(decoded))
                if self._too_early(started_ns, media_time_ns):
                    return
                frame = self._framer.frame(decoded, media_time_ns)
                if frame is not None:
                    yield frame
            if self._stop.is_set():
                return  # closed in the middle: what was not read is not missing
            lost = self._connection.missing(media_time_ns - start_ns, decoded)
            if lost:
                self._framer.damaged(lost)
            self._connection.close()
            if not self._loop:
                return
            start_ns = timeline.next_ns
            _, self._first, self._rest = self._begun()

    def close(self) -> None:
        """Release everything; any thread, more than once, also while ``frames`` waits."""
        self._stop.set()
        if self._connection is not None:
            self._connection.close()

    def _begun(self) -> tuple[VideoInput, av.VideoFrame, Iterator[av.VideoFrame]]:
        """Open the file and decode its first picture, which proves that it is one."""
        connection = self._connection = self._connected()
        rest = connection.frames(timed=self._framer.decoding_took, damaged=self._framer.damaged, strict=False)
        first = next(rest, None)
        if first is None:
            connection.close()
            raise SourceFormatError(f"{self._shown}: not one picture in it can be decoded; record or copy it again")
        return connection, first, rest

    def _connected(self) -> VideoInput:
        _check_file(self._path)
        try:
            container = av.open(os.fspath(self._path.absolute()), options=_OPTIONS, metadata_errors="replace")
        except av.FFmpegError as exc:
            raise SourceFormatError(f"{self._shown}: {_why_unreadable(self._path)}") from exc
        try:
            return VideoInput(container=container, threads=self._threads, thread_type=self._thread_type)
        except SourceFormatError as exc:
            raise SourceFormatError(f"{self._shown}: {exc}") from None

    def _too_early(self, started_ns: int, media_time_ns: int) -> bool:
        """At a set speed: wait until the frame is due; True when the source was closed."""
        if not self._pace:
            return self._stop.is_set()
        due_ns = started_ns + int(media_time_ns / self._pace)
        self._framer.last_activity_ns = due_ns
        wait_ns = due_ns - self._clock.monotonic_ns()
        return self._stop.wait(wait_ns / 1e9) if wait_ns > 0 else self._stop.is_set()


def _check_file(path: Path) -> None:
    """Say what libav would only call invalid."""
    name = shown(str(path))
    try:
        found = path.stat()
    except PermissionError:
        raise SourceError(f"{name}: no permission to look into its directory; open it for this user") from None
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{name}: no such file; check the path") from None
    except (OSError, ValueError) as exc:
        raise SourceError(f"{name}: cannot be the name of a file ({type(exc).__name__}); check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{name}: is a directory; name a video file in it")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{name}: no permission to read it; make it readable for this user")
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        raise SourceFormatError(f"{name}: is empty; record or copy it again")


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] == b"ftyp":
        return "was cut off before its index was written; record or copy it again, or repair it"
    if b"\0" not in head and head.isascii():
        return "is text, not a video; name a recording (mp4, mov, mkv, avi, webm, gif)"
    return "is no video that can be decoded, or is damaged at its beginning; convert it to mp4 or mkv"


def _creation_ns(metadata: dict[str, str]) -> int:
    """UTC nanoseconds of the ``creation_time`` tag, 0 without a sound one: recordings never ask the clock."""
    try:
        created = datetime.fromisoformat(metadata.get("creation_time", ""))
    except ValueError:
        return 0
    if created.tzinfo is None or created.year <= 1970:
        return 0
    return int(created.timestamp()) * 1_000_000_000 + created.microsecond * 1000
