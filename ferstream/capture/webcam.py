"""Webcams by number, through OpenCV (V4L2 on Linux).

OpenCV offers no timeout here: V4L2 gives up on a silent camera after about ten seconds, other drivers may never
return; the runner's watchdog is for those.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.capture.framing import Framer
from ferstream.capture.source import SourceInfo
from ferstream.domain.frame import Frame, Luma, detection_size
from ferstream.errors import SourceError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Whether there is a camera behind it."""
        ...

    def set(self, prop: int, value: float, /) -> bool:
        """Ask for a property; False when the driver has no such thing."""
        ...

    def get(self, prop: int, /) -> float:
        """Read a property."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Wait for the next picture, (h, w, 3) uint8 BGR; (False, None) when there is none."""
        ...

    def release(self) -> None:
        """Give the camera back."""
        ...


def open_device(number: int) -> Capture:
    """Ask the system for camera ``number``."""
    cv2.utils.logging.setLogLevel(2)  # errors only: a missing camera is told by SourceError
    return cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)


class WebcamSource:
    """A camera of this machine. ``open`` and ``frames`` belong to one thread."""

    def __init__(
        self,
        *,
        number: int,
        camera: str,
        observer: Observer,
        width: int = 640,
        analysis_fps: float = 0.0,
        size: tuple[int, int] = (1280, 720),
        clock: Clock | None = None,
        device: Callable[[int], Capture] = open_device,
    ) -> None:
        """Set up; nothing is opened yet.

        Args:
            number: Number of the camera, 0 for /dev/video0.
            camera: Name of the camera.
            observer: Receives counts and durations.
            width: Wanted longer side of the detection picture in pixels.
            analysis_fps: Frames to analyse per second, 0 for all.
            size: (width, height) in pixels to ask for; the driver takes the nearest it has.
            clock: The machine's clocks.
            device: Opens a camera by number.
        """
        self._number, self._observer = number, observer
        self._width, self._size, self._device = width, size, device
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._capture: Capture | None = None
        self._framer = Framer(
            camera=camera,
            width=width,
            analysis_fps=analysis_fps,
            live=True,
            observer=observer,
            clock=self._clock,
        )

    @property
    def last_activity_ns(self) -> int:
        """Monotonic clock of the last decoded picture; 0 before the first."""
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
        return SourceInfo(
            width=round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
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
        began_ns = self._clock.monotonic_ns()
        while (picture := self._read()) is not None:
            height, width = picture.shape[:2]
            info = self._framer.next(self._clock.monotonic_ns() - began_ns, (width, height))
            if info is None:
                continue
            started = time.perf_counter()
            luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            luma.flags.writeable = False
            small = cv2.resize(picture, detection_size(width, height, self._width), interpolation=cv2.INTER_LINEAR)
            self._observer.duration("capture", time.perf_counter() - started)
            yield Frame(info=info, luma=Luma(plane=luma, limited=False), detection_image=small)  # type: ignore[arg-type]

    def close(self) -> None:
        """Release the device; any thread, more than once; a read under way is left to end first."""
        self._stop.set()
        if self._lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._lock.release()

    def _read(self) -> npt.NDArray[np.uint8] | None:
        """The next picture, (h, w, 3) uint8 BGR; None after ``close``."""
        with self._lock:
            if self._stop.is_set() or self._capture is None:
                self._release()
                return None
            started = time.perf_counter()
            got, picture = self._capture.read()
            self._framer.decoding_took(time.perf_counter() - started)
            if self._stop.is_set():
                self._release()
                return None
        if not got or picture is None:
            raise SourceError(f"webcam:{self._number}: delivers no pictures any more; check its plug and power")
        return np.asarray(picture, dtype=np.uint8)

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _fourcc(code: float) -> str:
    value = int(code)
    letters = bytes(value >> shift & 0xFF for shift in (0, 8, 16, 24)) if value > 0 else b""
    return letters.decode("ascii", "replace").strip("\0 ").lower() or "unknown"
