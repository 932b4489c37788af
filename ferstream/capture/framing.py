"""One decoded picture after the other becomes a Frame: counted, timed, picked, converted."""

from __future__ import annotations

import time

import av

from ferstream.capture.planes import picture, turned_size
from ferstream.capture.timing import Sampler
from ferstream.domain.frame import Frame, FrameInfo, detection_size
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer

_DAMAGE_GRACE_NS = 30_000_000_000


class Framer:
    """The identity of a source's frames: numbers them, gives them times, picks those to analyse."""

    def __init__(
        self,
        *,
        camera: str,
        width: int,
        analysis_fps: float,
        live: bool,
        observer: Observer,
        clock: Clock,
    ) -> None:
        """Set up.

        Args:
            camera: Name of the camera.
            width: Wanted longer side of the detection picture in pixels.
            analysis_fps: Frames to pick per second of media time, 0 for all.
            live: What ``FrameInfo.live`` will say.
            observer: Receives counts and durations.
            clock: Monotonic time.
        """
        self._camera, self._width, self._live = camera, width, live
        self._observer, self._clock = observer, clock
        self._sampler = Sampler(fps=analysis_fps)
        self._index = -1
        self._good_ns = 0
        self.last_activity_ns = 0
        self.utc_origin_ns: int | None = None
        """UTC of media time 0 in nanoseconds; None: the clock tells."""

    def next(self, media_time_ns: int, size: tuple[int, int]) -> FrameInfo | None:
        """Count a decoded frame; its identity if it is to be analysed."""
        self._index += 1
        self.last_activity_ns = self._good_ns = now_ns = self._clock.monotonic_ns()
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

    def decoding_took(self, seconds: float) -> None:
        """Record the work of decoding one packet."""
        self._observer.duration("decode", seconds)

    def damaged(self, count: int = 1) -> None:
        """Count pictures that could not be decoded.

        For a while they are a sign of life too: a lost packet spoils every picture up to the next key frame.
        """
        self._observer.frame_dropped(self._camera, "decode", "damaged", count)
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._good_ns < _DAMAGE_GRACE_NS:
            self.last_activity_ns = now_ns

    def frame(self, decoded: av.VideoFrame, media_time_ns: int) -> Frame | None:
        """The Frame for a decoded picture, None when ``analysis_fps`` skips it."""
        rotation = decoded.rotation
        info = self.next(media_time_ns, turned_size(decoded, rotation))
        if info is None:
            return None
        started = time.perf_counter()
        luma, small = picture(decoded, detection_size(info.width, info.height, self._width), rotation)
        self._observer.duration("capture", time.perf_counter() - started)
        return Frame(info=info, luma=luma, detection_image=small)
