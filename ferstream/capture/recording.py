"""Recordings: every frame, in order, with times that depend only on the content of the file."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path

import av

from ferstream.capture.display_name import display_name
from ferstream.capture.framing import Framer
from ferstream.capture.libav import VideoInput
from ferstream.capture.libav_memory import limit_libav_memory
from ferstream.capture.options import Decoding, Playback
from ferstream.capture.source import SourceInfo
from ferstream.capture.timing import MediaTimeline
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError, SourceFormatError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

# Containers that are opened. Playlists are excluded, because they name other files and hosts, and so are demuxers that
# would read a text file as a picture.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,flv,ogg,asf,ivf,nut,mxf,h264,hevc,mjpeg,"
    "m4v,mpegvideo,apng,png_pipe,jpeg_pipe,webp_pipe,yuv4mpegpipe,wtv,dv"
)
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


class FileSource:
    """One pass over a recording, or endless passes with ``Playback.loop``. One thread calls ``open`` and ``frames``."""

    def __init__(
        self,
        *,
        path: Path,
        camera: str,
        observer: Observer,
        width: int = 640,
        analysis_fps: float = 0.0,
        playback: Playback | None = None,
        decoding: Decoding | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up; the file is not opened yet.

        Args:
            path: The recording.
            camera: Name of the camera in its frames.
            observer: Receives counts and durations.
            width: Wanted longer side of the detection image in pixels.
            analysis_fps: Frames to analyse per second of media time, 0 for all.
            playback: Loop, real time or speed; by default once, as fast as possible.
            decoding: Threads of the decoder.
            clock: The machine's clocks.
        """
        self._path, self._name = path, display_name(str(path))
        self._playback, self._decoding = playback or Playback(), decoding or Decoding()
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._video: VideoInput | None = None
        self._first: av.VideoFrame | None = None
        self._rest: Iterator[av.VideoFrame] = iter(())
        self._framer = Framer(
            camera=camera, width=width, analysis_fps=analysis_fps, live=self._playback.realtime, observer=observer, clock=self._clock
        )

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last decoded picture, or of the one waited for; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Open the file and read its format.

        Raises:
            SourceError: The file is missing, unreadable, not a video, cut off, or has no picture that can be decoded.
        """
        video, self._first, self._rest = self._open_video()
        self._framer.utc_origin_ns = None if self._playback.realtime else _creation_ns(video.metadata)
        return video.info(self._first)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse; damaged ones are skipped and counted.

        Raises:
            SourceError: The file of a loop cannot be opened again.
        """
        started_ns, start_ns = self._clock.monotonic_ns(), 0
        while self._video is not None and self._first is not None and not self._stop.is_set():
            timeline = MediaTimeline(step_ns=self._video.step_ns, start_ns=start_ns)
            for decoded in chain((self._first,), self._rest):
                media_time_ns = timeline.at(self._video.pts_ns(decoded))
                if self._wait_until_due(started_ns, media_time_ns):
                    return
                frame = self._framer.video_frame(decoded, media_time_ns)
                if frame is not None:
                    yield frame
            if self._stop.is_set():
                return  # closed before the end: the pictures that were not read are not missing
            missing = self._video.missing_at_end(media_time_ns - start_ns, decoded)
            if missing:
                self._framer.count_damaged(missing)
            self._video.close()
            if not self._playback.loop:
                return
            start_ns = timeline.next_ns
            _, self._first, self._rest = self._open_video()

    def close(self) -> None:
        """Release everything; any thread, more than once, also while ``frames`` waits."""
        self._stop.set()
        if self._video is not None:
            self._video.close()

    def _open_video(self) -> tuple[VideoInput, av.VideoFrame, Iterator[av.VideoFrame]]:
        """Open the file and decode its first picture; return the input, that picture, and the pictures after it."""
        video = self._video = self._open_container()
        pictures = video.frames(on_decoded=self._framer.record_decode_time, on_damaged=self._framer.count_damaged, strict=False)
        first = next(pictures, None)
        if first is None:
            video.close()
            raise SourceFormatError(f"{self._name}: no picture in it can be decoded; record or copy it again")
        return video, first, pictures

    def _open_container(self) -> VideoInput:
        _check_file(self._path)
        try:
            limit_libav_memory(self._decoding.max_pixels)
            container = av.open(os.fspath(self._path.absolute()), options=_OPTIONS, metadata_errors="replace")
        except av.FFmpegError as exc:
            raise SourceFormatError(f"{self._name}: {_why_unreadable(self._path)}") from exc
        return VideoInput(container=container, decoding=self._decoding, name=self._name)

    def _wait_until_due(self, started_ns: int, media_time_ns: int) -> bool:
        """Wait until the frame is due, if the recording is played at a speed; return True when the source was closed."""
        pace = self._playback.pace
        if not pace:
            return self._stop.is_set()
        due_ns = started_ns + int(media_time_ns / pace)
        self._framer.last_activity_ns = due_ns
        wait_ns = due_ns - self._clock.monotonic_ns()
        return self._stop.wait(wait_ns / 1e9) if wait_ns > 0 else self._stop.is_set()


def _check_file(path: Path) -> None:
    """Raise a SourceError that names the cause, where libav would only report invalid data."""
    name = display_name(str(path))
    try:
        found = path.stat()
    except PermissionError:
        raise SourceError(f"{name}: no permission to read its directory; allow this user to read it") from None
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{name}: no such file; check the path") from None
    except (OSError, ValueError) as exc:
        raise SourceError(f"{name}: is not a valid file name ({type(exc).__name__}); check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{name}: is a directory; name a video file in it")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{name}: no permission to read it; make it readable for this user")
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        raise SourceFormatError(f"{name}: is empty; record or copy it again")


def _why_unreadable(path: Path) -> str:
    """Return why libav cannot open the file, from its first bytes."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] == b"ftyp":
        return "was cut off before its index was written; record or copy it again, or repair it"
    if b"\0" not in head and head.isascii():
        return "is text, not a video; name a recording (mp4, mov, mkv, avi, webm, gif)"
    return "is not a video that can be decoded, or is damaged at its beginning; convert it to mp4 or mkv"


def _creation_ns(metadata: dict[str, str]) -> int:
    """Return the ``creation_time`` tag in UTC nanoseconds; 0 without a valid one, because recordings never use the clock."""
    try:
        created = datetime.fromisoformat(metadata.get("creation_time", ""))
    except ValueError:
        return 0
    if created.tzinfo is None or created.year <= 1970:
        return 0
    return int(created.timestamp()) * 1_000_000_000 + created.microsecond * 1000
