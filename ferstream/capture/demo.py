"""The built-in demo: a clip that needs no file and no camera, and is the same on every machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from ferstream.capture.demo_clip import HEIGHT, WIDTH, DemoClip, installed_portraits
from ferstream.capture.framing import Framer
from ferstream.capture.geometry import AS_STORED
from ferstream.capture.options import FrameOptions
from ferstream.capture.source import SourceInfo
from ferstream.domain.frame import Frame, Image, Luma
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

FPS = 25
_STEP_NS = 1_000_000_000 // FPS


class DemoSource:
    """The built-in clip. One thread calls ``open`` and ``frames``."""

    def __init__(
        self,
        *,
        camera: str,
        observer: Observer,
        options: FrameOptions | None = None,
        realtime: bool = True,
        seconds: float | None = None,
        portraits: Sequence[Path] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up.

        Args:
            camera: Name of the camera.
            observer: Receives counts and durations.
            options: Which pictures are analysed, at which size, and how they are turned.
            realtime: Play at media speed; frames are then ``live``.
            seconds: Length of the clip in seconds, None for endless.
            portraits: Picture files of the faces; None for those of installed packages.
            clock: The machine's clocks.
        """
        self._realtime, self._portraits = realtime, portraits
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._count = None if seconds is None else round(seconds * FPS)
        self._clip: DemoClip | None = None
        options = options or FrameOptions()
        self._framer = Framer(camera=camera, options=options, live=realtime, observer=observer, clock=self._clock)
        self._geometry = self._framer.geometry(AS_STORED)
        self._detection_size = self._geometry.detection_size((WIDTH, HEIGHT), options.width)
        self._framer.utc_origin_ns = None if realtime else 0

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last picture; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Load the portraits.

        Raises:
            SourceError: No portrait is installed, or one is damaged.
        """
        self._clip = self._load_clip()
        seconds = None if self._count is None else self._count / FPS
        width, height = self._geometry.size((WIDTH, HEIGHT))
        aspect = self._geometry.displayed_pixel_aspect
        return SourceInfo(
            width=width, height=height, fps=FPS, frames=self._count, duration_s=seconds, codec="drawn (gray)", pixel_aspect=aspect
        )

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to analyse; each is drawn when it is due."""
        clip = self._clip or self._load_clip()
        started_ns = self._clock.monotonic_ns()
        index = 0
        while (self._count is None or index < self._count) and not self._wait_until_due(started_ns + index * _STEP_NS):
            frame = self._framer.frame(index * _STEP_NS, (WIDTH, HEIGHT), partial(_draw, clip, index / FPS))
            if frame is not None:
                yield frame
            index += 1

    def close(self) -> None:
        """End ``frames``; any thread, more than once."""
        self._stop.set()

    def _load_clip(self) -> DemoClip:
        portraits = tuple(installed_portraits()) if self._portraits is None else self._portraits
        return DemoClip(portraits=portraits, detection_size=self._detection_size)

    def _wait_until_due(self, due_ns: int) -> bool:
        """In real time, wait until the next frame is due; return True when the source was closed."""
        wait_ns = due_ns - self._clock.monotonic_ns() if self._realtime else 0
        return self._stop.wait(wait_ns / 1e9) if wait_ns > 0 else self._stop.is_set()


def _draw(clip: DemoClip, seconds: float, _size: tuple[int, int]) -> tuple[Luma, Callable[[], Image]]:
    """Draw the picture at a time of the clip; the clip knows the size of its detection image, and draws both pictures at once."""
    luma, detection_image = clip.draw(seconds)
    return luma, lambda: detection_image
