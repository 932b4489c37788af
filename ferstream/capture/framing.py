"""Makes frames from decoded pictures, in the same way for every source. Runs in the thread that reads the source."""

from __future__ import annotations

import time
from collections.abc import Callable

import av

from ferstream.capture.display_matrix import VideoOrientation
from ferstream.capture.geometry import AS_STORED, Geometry
from ferstream.capture.options import FrameOptions
from ferstream.capture.planes import luma_and_image_maker
from ferstream.capture.timing import Sampler
from ferstream.domain.frame import Frame, FrameInfo, Image, Luma
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer

_DAMAGE_GRACE_NS = 30_000_000_000

Convert = Callable[[tuple[int, int]], tuple[Luma, Callable[[], Image]]]
"""Takes the (width, height) of the detection image in pixels, as stored; returns the luma at full size, and what makes the
detection image, both as stored."""


class Framer:
    """Numbers the decoded pictures of a source, picks those to analyse, converts them, and counts all of them.

    The detection image of a live frame is made by the detection worker that takes the frame, because most frames of an
    overloaded camera are dropped before that. The first one of a connection is made at once: a format that cannot be
    converted ends the connection.

    Args:
        camera: Name of the camera.
        options: Which pictures are analysed, at which size, and how they are turned.
        live: Value of ``FrameInfo.live``.
        observer: Receives counts and durations.
        clock: The machine's clocks.
    """

    def __init__(self, *, camera: str, options: FrameOptions, live: bool, observer: Observer, clock: Clock) -> None:
        self._camera, self._options, self._live = camera, options, live
        self._observer, self._clock = observer, clock
        self._sampler = Sampler(fps=options.analysis_fps)
        self._index = -1
        self._may_defer = False
        self._orientation = VideoOrientation()
        self._last_good_ns = 0
        self.last_activity_ns = 0
        """Monotonic time of the last decoded picture in nanoseconds; 0 before the first."""
        self.utc_origin_ns: int | None = None
        """UTC of media time 0 in nanoseconds; None to take the UTC of each frame from the clock."""

    def go_on_behind(self, index: int, media_time_ns: int) -> None:
        """Go on as if a picture had come, before the first one.

        Args:
            index: Number of that picture.
            media_time_ns: Its media time in nanoseconds.
        """
        self._index = index
        self._sampler.take(media_time_ns)

    def frame(self, media_time_ns: int, size: tuple[int, int], convert: Convert, source: Geometry = AS_STORED) -> Frame | None:
        """Count a decoded picture and make its frame.

        Args:
            media_time_ns: Its media time in nanoseconds.
            size: (width, height) of the picture in pixels, as stored.
            convert: Called only when the picture is to be analysed.
            source: What the source says of the picture's geometry; the settings of the camera are applied to it.

        Returns:
            The frame; None when ``analysis_fps`` skips the picture.
        """
        geometry = self.geometry(source)
        info = self._next(media_time_ns, geometry.size(size))
        if info is None:
            return None
        luma, make_image = convert(geometry.detection_size(size, self._options.width))
        frame = Frame(info, geometry.luma(luma), lambda: self._timed(lambda: geometry.orientation.copy(make_image())))
        if not self._may_defer:
            frame.detection_image  # noqa: B018 (makes the image)
            self._may_defer = self._live
        return frame

    def video_frame(self, decoded: av.VideoFrame, media_time_ns: int, pixel_aspect: float = 1.0) -> Frame | None:
        """Count a picture decoded by libav and make its frame; see ``frame``.

        Args:
            decoded: The picture.
            media_time_ns: Its media time in nanoseconds.
            pixel_aspect: Width of its pixels divided by their height.
        """
        size, source = (decoded.width, decoded.height), Geometry(self._orientation.of(decoded), pixel_aspect)
        return self.frame(media_time_ns, size, lambda image_size: luma_and_image_maker(decoded, image_size), source)

    def geometry(self, source: Geometry) -> Geometry:
        """Return how pictures are displayed, from what their source says and the settings of the camera."""
        return self._options.picture.applied_to(source)

    def video_geometry(self, decoded: av.VideoFrame, pixel_aspect: float) -> Geometry:
        """Return how a picture decoded by libav is displayed; see ``video_frame``."""
        return self.geometry(Geometry(self._orientation.of(decoded), pixel_aspect))

    def _timed(self, make_image: Callable[[], Image]) -> Image:
        """Make a detection image, and record the time as the work of capture in whichever thread."""
        started = time.perf_counter()
        image = make_image()
        self._observer.duration("capture", time.perf_counter() - started)
        return image

    def record_decode_time(self, seconds: float) -> None:
        """Record the time that decoding one packet took."""
        self._observer.duration("decode", seconds)

    def count_damaged(self, count: int = 1) -> None:
        """Count pictures that could not be decoded.

        For 30 s after the last good picture they count as activity too: a lost packet damages every picture up to the
        next key frame, and that is no reason to connect again.
        """
        self._observer.frame_dropped(self._camera, "decode", "damaged", count)
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._last_good_ns < _DAMAGE_GRACE_NS:
            self.last_activity_ns = now_ns

    def _next(self, media_time_ns: int, size: tuple[int, int]) -> FrameInfo | None:
        """Count a decoded picture; return its identity if it is to be analysed."""
        self._index += 1
        self.last_activity_ns = self._last_good_ns = now_ns = self._clock.monotonic_ns()
        self._observer.frame(self._camera, "decode")
        if not self._sampler.take(media_time_ns):
            return None
        return FrameInfo(
            camera=self._camera,
            index=self._index,
            media_time_ns=media_time_ns,
            captured_ns=now_ns,
            captured_at_ns=self._clock.utc_ns() if self.utc_origin_ns is None else self.utc_origin_ns + media_time_ns,
            width=size[0],
            height=size[1],
            live=self._live,
        )
