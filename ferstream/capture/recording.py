"""Recordings: every frame, in order, with times that depend only on the content of the file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av

from ferstream.capture.creation_time import creation_ns
from ferstream.capture.display_name import display_name
from ferstream.capture.file_bytes import STDIN
from ferstream.capture.framing import Framer
from ferstream.capture.libav import VideoInput
from ferstream.capture.options import Decoding, FrameOptions, Playback
from ferstream.capture.recording_file import RecordingFile
from ferstream.capture.source import SourceInfo
from ferstream.capture.timing import MediaTimeline
from ferstream.domain.frame import Frame
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer


class FileSource:
    """One pass over a recording, or endless passes with ``Playback.loop``. One thread calls ``open`` and ``frames``."""

    def __init__(
        self,
        *,
        path: Path,
        camera: str,
        observer: Observer,
        options: FrameOptions | None = None,
        playback: Playback | None = None,
        decoding: Decoding | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up; the file is not opened yet.

        Args:
            path: The recording; ``-`` is the standard input. A pipe is read once, and is not played again in a loop.
            camera: Name of the camera in its frames.
            observer: Receives counts and durations.
            options: Which pictures are analysed, at which size, and how they are turned.
            playback: Loop, real time or speed; by default once, as fast as possible.
            decoding: Threads of the decoder.
            clock: The machine's clocks.
        """
        self._path, self._name = path, "stdin" if path == STDIN else display_name(str(path))
        self._playback, self._decoding = playback or Playback(), decoding or Decoding()
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._file: RecordingFile | None = None
        self._video: VideoInput | None = None
        self._first: av.VideoFrame | None = None
        self._rest: Iterator[av.VideoFrame] = iter(())
        live = self._playback.realtime
        self._framer = Framer(camera=camera, options=options or FrameOptions(), live=live, observer=observer, clock=self._clock)

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last decoded picture, or of the one waited for; the present time while a pipe has no data."""
        if self._file is not None and self._file.is_waiting:
            return self._clock.monotonic_ns()
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Open the file and read its format.

        Raises:
            SourceError: The file is missing, unreadable, not a video, cut off, or has no picture that can be decoded.
        """
        video, self._first, self._rest = self._open_video()
        self._framer.utc_origin_ns = self._utc_origin_ns(video)
        return video.info(self._first, self._framer.video_geometry(self._first, video.pixel_aspect(self._first)))

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse; damaged and missing ones are counted.

        Raises:
            SourceError: The file of a loop cannot be opened again.
        """
        started_ns, start_ns = self._clock.monotonic_ns(), 0
        while self._video is not None and self._first is not None and not self._stop.is_set():
            timeline = MediaTimeline(step_ns=self._video.step_ns, start_ns=start_ns, longest_gap_ns=self._video.longest_gap_ns)
            for decoded in chain((self._first,), self._rest):
                media_time_ns = timeline.at(self._video.pts_ns(decoded))
                if self._wait_until_due(started_ns, media_time_ns):
                    return
                frame = self._framer.video_frame(decoded, media_time_ns, self._video.pixel_aspect(decoded))
                if frame is not None:
                    yield frame
            if self._stop.is_set():
                return  # closed before the end: the pictures that were not read are not missing
            self._count_missing(self._video)
            self._video.close()
            if not self._playback.loop or self._file is None or not self._file.can_be_read_again:
                return
            start_ns = timeline.next_ns
            _, self._first, self._rest = self._open_video()

    def close(self) -> None:
        """Release everything; any thread, more than once, also while ``frames`` waits."""
        self._stop.set()
        if self._file is not None:
            self._file.close()
        if self._video is not None:
            self._video.close()

    def _utc_origin_ns(self, video: VideoInput) -> int | None:
        """Return the UTC of the first frame; None for a recording that is played as a camera, whose times come from the clock."""
        if self._playback.realtime:
            return None
        start_ns = self._playback.start_ns
        return creation_ns(video.metadata, video.stream_metadata) if start_ns is None else start_ns

    def _open_video(self) -> tuple[VideoInput, av.VideoFrame, Iterator[av.VideoFrame]]:
        """Open the file and decode its first picture; return the input, that picture, and the pictures after it."""
        file = self._file = RecordingFile(self._path, name=self._name, max_pixels=self._decoding.max_pixels)
        if self._stop.is_set():
            file.close()
        container = file.open_container()
        video = self._video = VideoInput(container=container, decoding=self._decoding, name=self._name, on_closed=file.release)
        pictures = video.frames(on_decoded=self._framer.record_decode_time, on_damaged=self._framer.count_damaged, strict=False)
        first = next(pictures, None)
        if first is None:
            video.close()
            raise file.no_picture()
        return video, first, pictures

    def _count_missing(self, video: VideoInput) -> None:
        """Count the pictures that the container promises and that did not come."""
        if self._file is None:
            return
        with self._file.content() as data:
            missing = video.missing_at_end(data)
        if missing:
            self._framer.count_damaged(missing)

    def _wait_until_due(self, started_ns: int, media_time_ns: int) -> bool:
        """Wait until the frame is due, if the recording is played at a speed; return True when the source was closed."""
        pace = self._playback.pace
        if not pace:
            return self._stop.is_set()
        due_ns = started_ns + int(media_time_ns / pace)
        self._framer.last_activity_ns = due_ns
        wait_ns = due_ns - self._clock.monotonic_ns()
        return self._stop.wait(wait_ns / 1e9) if wait_ns > 0 else self._stop.is_set()
