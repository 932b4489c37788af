"""Webcams by number, through OpenCV (V4L2 on Linux).

OpenCV has no timeout for a read. V4L2 returns from a silent camera after about ten seconds; other drivers may never
return, and then ``CameraRunner`` abandons the reading thread.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import cv2
import numpy as np

from ferstream.capture.framing import Framer
from ferstream.capture.geometry import AS_STORED
from ferstream.capture.options import FrameOptions
from ferstream.capture.source import SourceInfo
from ferstream.domain.frame import Frame, Image, Luma
from ferstream.errors import SourceError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Return whether a camera was opened."""
        ...

    def set(self, prop: int, value: float, /) -> bool:
        """Set a property; return False when the driver does not support it."""
        ...

    def get(self, prop: int, /) -> float:
        """Return a property; 0 when the driver does not support it."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Wait for the next picture: (True, (h, w, 3) uint8 BGR), or (False, None) when the camera delivers none."""
        ...

    def release(self) -> None:
        """Close the camera."""
        ...


def open_device(number: int) -> Capture:
    """Open camera ``number`` of this machine."""
    cv2.utils.logging.setLogLevel(2)  # errors only: a missing camera is reported by SourceError
    return cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)


class WebcamSource:
    """A camera of this machine. One thread calls ``open`` and ``frames``."""

    def __init__(
        self,
        *,
        number: int,
        camera: str,
        observer: Observer,
        options: FrameOptions | None = None,
        size: tuple[int, int] = (1280, 720),
        clock: Clock | None = None,
        device: Callable[[int], Capture] = open_device,
    ) -> None:
        """Set up; nothing is opened yet.

        Args:
            number: Number of the camera, 0 for /dev/video0.
            camera: Name of the camera.
            observer: Receives counts and durations.
            options: Which pictures are analysed, at which size, and how they are turned.
            size: Wanted (width, height) in pixels; the driver chooses the nearest it has.
            clock: The machine's clocks.
            device: Opens a camera by number.
        """
        self._number = number
        self._size, self._device = size, device
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._capture: Capture | None = None
        self._framer = Framer(camera=camera, options=options or FrameOptions(), live=True, observer=observer, clock=self._clock)

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last decoded picture; 0 before the first."""
        return self._framer.last_activity_ns

    def open(self) -> SourceInfo:
        """Open the device and ask for compressed pictures of the wanted size.

        Raises:
            SourceError: There is no such camera, or another program has it.
        """
        capture = self._device(self._number)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"webcam:{self._number}: cannot be opened; check that /dev/video{self._number} exists, is not in use "
                f"and that this user is in the group video"
            )
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture = capture
        geometry = self._framer.geometry(AS_STORED)
        width, height = geometry.size((round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))))
        return SourceInfo(
            width=width,
            height=height,
            pixel_aspect=geometry.displayed_pixel_aspect,
            fps=max(0.0, capture.get(cv2.CAP_PROP_FPS)),
            frames=None,
            duration_s=None,
            codec=_fourcc(capture.get(cv2.CAP_PROP_FOURCC)),
        )

    def frames(self) -> Iterator[Frame]:
        """Yield frames until ``close``.

        Raises:
            SourceError: The camera stopped delivering or was unplugged.
        """
        started_ns = self._clock.monotonic_ns()
        while (picture := self._read()) is not None:
            height, width = picture.shape[:2]
            frame = self._framer.frame(self._clock.monotonic_ns() - started_ns, (width, height), partial(_convert, picture))
            if frame is not None:
                yield frame

    def close(self) -> None:
        """Release the device; any thread, more than once. During a read, the reading thread releases it afterwards."""
        self._stop.set()
        if self._lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._lock.release()

    def _read(self) -> Image | None:
        """Return the next picture, (h, w, 3) uint8 BGR; None after ``close``."""
        with self._lock:
            if self._stop.is_set() or self._capture is None:
                self._release()
                return None
            started = time.perf_counter()
            got, picture = self._capture.read()
            self._framer.record_decode_time(time.perf_counter() - started)
            if self._stop.is_set():
                self._release()
                return None
        if not got or picture is None:
            raise SourceError(f"webcam:{self._number}: delivers no pictures; check its cable and power")
        return np.asarray(picture, dtype=np.uint8)

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _convert(picture: Image, size: tuple[int, int]) -> tuple[Luma, Callable[[], Image]]:
    """Return the luma of a (h, w, 3) uint8 BGR picture, and a function that makes the detection image."""
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    luma.flags.writeable = False
    return Luma(plane=luma, limited=False), lambda: np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _fourcc(code: float) -> str:
    """Return the name of a codec from its OpenCV number."""
    value = int(code)
    letters = bytes(value >> shift & 0xFF for shift in (0, 8, 16, 24)) if value > 0 else b""
    return letters.decode("ascii", "replace").strip("\0 ").lower() or "unknown"
