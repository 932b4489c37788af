"""A part of a recording: the same pictures with the same numbers and times as ``FileSource`` gives, or an error.

A part begins at a key frame. Formats and decoders differ in what they give after a seek, so every picture is compared with those that
were found before, and the digests of the pictures at both ends tell whether two parts fit together.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ferstream.capture.decoder_errors import DecoderErrors
from ferstream.capture.display_name import display_name
from ferstream.capture.framing import Framer
from ferstream.capture.libav import VideoInput
from ferstream.capture.options import Decoding, FrameOptions
from ferstream.capture.planes import luma_and_image_maker
from ferstream.capture.recording_file import RecordingFile
from ferstream.capture.source import SourceInfo
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

COMPARED = 3
"""Pictures at each end whose digests are kept."""
_DIGEST_BYTES = 8


class SpanError(SourceError):
    """The pictures of a part are not those that were found before."""

    reason = "differs"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Span:
    """Consecutive pictures of a recording, the first of which is a key frame, and what is known of those around them.

    Attributes:
        first_frame: Number of the first picture in the recording, from 0.
        pts: (n,) int64, increasing: timestamps of the pictures in the time base of the stream; n >= 1.
        overlap: (m,) int64, increasing: timestamps of the pictures behind them that are read too; empty if the last picture is the
            last of the recording.
        origin_pts: Timestamp of the first picture of the recording, which has media time 0.
        previous_pts: Timestamp of the picture before the first; None for the first of the recording.
    """

    first_frame: int
    pts: npt.NDArray[np.int64]
    overlap: npt.NDArray[np.int64]
    origin_pts: int
    previous_pts: int | None


class SpanSource:
    """One pass over a part of a recording. One thread calls ``open`` and ``frames``."""

    def __init__(
        self,
        *,
        path: Path,
        camera: str,
        span: Span,
        observer: Observer,
        options: FrameOptions | None = None,
        decoding: Decoding | None = None,
        utc_origin_ns: int = 0,
        clock: Clock | None = None,
    ) -> None:
        """Set up; the file is not opened yet.

        Args:
            path: The recording, no pipe.
            camera: Name of the camera in its frames.
            span: The pictures. Frames whose number is at least ``first_frame + len(pts)`` are of the overlap.
            observer: Receives counts and durations.
            options: Which pictures are analysed, at which size, and how they are turned.
            decoding: Threads of the decoder.
            utc_origin_ns: UTC of media time 0 in nanoseconds since 1970.
            clock: The machine's clocks.
        """
        self._path, self._name, self._span = path, display_name(str(path)), span
        self._decoding = decoding or Decoding()
        self._expected = (*span.pts.tolist(), *span.overlap.tolist())
        self._position = 0
        self._stop = threading.Event()
        self._errors = DecoderErrors(self._expected[0])
        self._video: VideoInput | None = None
        self._first: av.VideoFrame | None = None
        self._rest: Iterator[av.VideoFrame] = iter(())
        self._digests: dict[int, str] = {}
        clock = clock or SystemClock()
        self._framer = Framer(camera=camera, options=options or FrameOptions(), live=False, observer=observer, clock=clock)
        self._framer.utc_origin_ns = utc_origin_ns

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last decoded picture."""
        return self._framer.last_activity_ns

    @property
    def head(self) -> tuple[str, ...]:
        """Digests of the first pictures of the part, after the last frame."""
        return self._digests_from(0)

    @property
    def tail(self) -> tuple[str, ...]:
        """Digests of the first pictures of the overlap, after the last frame."""
        return self._digests_from(len(self._span.pts))

    def open(self) -> SourceInfo:
        """Open the file, go to the part, and decode its first picture.

        Raises:
            SourceError: The file is missing, unreadable, not a video, or cut off.
            SpanError: The part does not begin as it should.
        """
        file = RecordingFile(self._path, name=self._name, max_pixels=self._decoding.max_pixels)
        video = self._video = VideoInput(
            container=file.open_container(), decoding=self._decoding, name=self._name, on_closed=file.release, errors=self._errors
        )
        self._seek(video)
        self._rest = video.frames(on_decoded=self._framer.record_decode_time, on_damaged=self._on_damaged, strict=False)
        self._first = next(self._from_first(self._rest), None)
        if self._first is None:
            raise self._error("the recording ends before it")
        return video.info(self._first, self._framer.video_geometry(self._first, video.pixel_aspect(self._first)))

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse, of the part and then of the overlap.

        Raises:
            SpanError: A picture is missing, damaged, or another one than that which was found before.
        """
        video = self._video
        if video is None or self._first is None:
            return
        origin_ns = video.time_ns(self._span.origin_pts)
        if self._span.previous_pts is not None:
            self._framer.go_on_behind(self._span.first_frame - 1, video.time_ns(self._span.previous_pts) - origin_ns)
        for decoded in chain((self._first,), self._rest):
            if self._stop.is_set():
                return
            pts = self._checked_pts(decoded)
            aspect = video.pixel_aspect(decoded)
            self._compute_digest(decoded, aspect)
            self._position += 1
            frame = self._framer.video_frame(decoded, video.time_ns(pts) - origin_ns, aspect)
            if frame is not None:
                yield frame
            if len(self._span.overlap) and self._position == len(self._expected):
                return
        if self._position < len(self._expected) and not self._stop.is_set():
            raise self._error("the recording ends before it")

    def close(self) -> None:
        """Release everything; any thread, more than once."""
        self._stop.set()
        if self._video is not None:
            self._video.close()

    def _seek(self, video: VideoInput) -> None:
        if self._span.previous_pts is None:
            return  # the recording is read from its beginning, as FileSource does
        try:
            video.seek(self._expected[0])
        except av.FFmpegError as exc:
            raise self._error(f"the file cannot be read from there ({exc.strerror})") from exc

    def _from_first(self, pictures: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Yield the pictures without those before the part."""
        return (picture for picture in pictures if picture.pts is None or picture.pts >= self._expected[0])

    def _checked_pts(self, decoded: av.VideoFrame) -> int:
        """Return the timestamp of the next picture, which is the expected one."""
        if self._errors.last:
            raise self._error(f"the decoder reports: {self._errors.last}")
        if decoded.pts is None:
            raise self._error("the picture has no timestamp")
        if self._position >= len(self._expected):
            raise self._error(f"there is one more at timestamp {decoded.pts}")
        if decoded.pts != self._expected[self._position]:
            raise self._error(f"its timestamp is {decoded.pts}, expected {self._expected[self._position]}")
        return decoded.pts

    def _on_damaged(self, count: int) -> None:
        """Stop at a damaged picture; those before the first one belong to the part before, and need not be decodable from here."""
        if self._first is not None:
            raise self._error("a picture there is damaged")

    def _error(self, what: str) -> SpanError:
        return SpanError(f"{self._name}: picture {self._span.first_frame + self._position} is not as planned: {what}")

    def _compute_digest(self, decoded: av.VideoFrame, pixel_aspect: float) -> None:
        """Keep the digest of a picture at one of the ends."""
        own = len(self._span.pts)
        if COMPARED <= self._position < own or self._position >= own + COMPARED:
            return
        geometry = self._framer.video_geometry(decoded, pixel_aspect)
        luma, _ = luma_and_image_maker(decoded, (decoded.width, decoded.height))
        shape = (geometry, luma.plane.shape, luma.limited, luma.bits)
        digest = hashlib.blake2b(repr(shape).encode(), digest_size=_DIGEST_BYTES)
        digest.update(np.ascontiguousarray(luma.plane).data)
        self._digests[self._position] = digest.hexdigest()

    def _digests_from(self, start: int) -> tuple[str, ...]:
        stop = min(start + COMPARED, len(self._span.pts) if start == 0 else len(self._expected))
        return tuple(self._digests[position] for position in range(start, stop) if position in self._digests)
