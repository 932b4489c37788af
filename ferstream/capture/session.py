"""One connection to a source, read by a thread of its own that can be given up.

A native read may hang for good. Its thread cannot be killed, so it is abandoned: it keeps running as a daemon,
but everything it still delivers is thrown away.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ferstream.capture.frozen import FrozenPicture
from ferstream.capture.source import Source
from ferstream.domain.frame import Frame
from ferstream.errors import ClosedError, SourceError
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer


@dataclass(frozen=True, slots=True)
class SessionResult:
    """How a connection ended.

    Attributes:
        kind: From a small fixed set: end, closed, frozen, internal or the ``reason`` of a SourceError.
        text: One line for people.
        error: What the source raised, if it did.
    """

    kind: str
    text: str
    error: SourceError | None = None


class FrameNumbering:
    """Where a camera is over all its connections: numbers and media times go on, whichever thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: object = None
        self._index_offset = 0
        self._media_offset_ns = 0
        self._first_captured_ns: int | None = None
        self._last_index = -1
        self._last_media_ns = -1

    def hand_on(self, frame: Frame, owner: object, emit: Callable[[Frame], None]) -> None:
        """Give the frame its place and emit it; frames of two owners never interleave."""
        with self._lock:
            emit(self._placed(frame, owner))

    def _placed(self, frame: Frame, owner: object) -> Frame:
        info = frame.info
        if self._first_captured_ns is None:
            self._owner, self._first_captured_ns = owner, info.captured_ns - info.media_time_ns
        if owner is not self._owner:
            self._owner = owner
            self._index_offset = self._last_index + 1
            since_start_ns = info.captured_ns - self._first_captured_ns
            self._media_offset_ns = max(since_start_ns, self._last_media_ns + 1) - info.media_time_ns
        self._last_index = info.index + self._index_offset
        self._last_media_ns = info.media_time_ns + self._media_offset_ns
        if not self._index_offset and not self._media_offset_ns:
            return frame
        return replace(frame, info=replace(info, index=self._last_index, media_time_ns=self._last_media_ns))


class CaptureSession:
    """Connects once and reads until the end. The owner watches ``last_activity_ns`` and ``ending``."""

    def __init__(
        self,
        *,
        camera: str,
        connect: Callable[[], Source],
        emit: Callable[[Frame], None],
        position: FrameNumbering,
        frozen: FrozenPicture | None,
        on_change: Callable[[], None],
        observer: Observer,
        clock: Clock,
    ) -> None:
        """Set up; ``start`` begins.

        Args:
            camera: Name of the camera.
            connect: Makes the source.
            emit: Takes the frames; raises ClosedError when nobody reads them any more.
            position: Numbers and times of the camera.
            frozen: Judges pictures of live cameras.
            on_change: Called from the reading thread at the first frame and at the end.
            observer: Counts.
            clock: Monotonic time.
        """
        self._camera, self._connect, self._emit, self._position = camera, connect, emit, position
        self._frozen, self._on_change, self._observer, self._clock = frozen, on_change, observer, clock
        self._token = object()
        self._given_up = threading.Event()
        self._source: Source | None = None
        self._last_activity_ns = self.began_ns = clock.monotonic_ns()
        self._emitting = False
        self.frames = 0
        self.ending: SessionResult | None = None
        self.thread = threading.Thread(target=self._run, name=f"capture-{camera}", daemon=True)

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last sign of life; now, while a recording waits for its reader."""
        if self._emitting:
            return self._clock.monotonic_ns()
        decoded_ns = self._source.last_activity_ns if self._source is not None else 0
        return max(self._last_activity_ns, decoded_ns)

    def start(self) -> None:
        """Begin to connect."""
        self.thread.start()

    def give_up(self) -> None:
        """Close the source; whatever the thread still delivers is ignored. Any thread, more than once."""
        self._given_up.set()
        if self._source is not None:
            self._source.close()

    def _run(self) -> None:
        ending = self._ended()
        try:
            if self._source is not None:
                self._source.close()
        finally:
            self.ending = ending
            self._on_change()

    def _ended(self) -> SessionResult:
        """Read to the end, whatever it is; the thread must not die without a word."""
        try:
            return self._read()
        except ClosedError:
            return SessionResult("closed", "the pipeline ended")
        except SourceError as exc:
            return SessionResult(exc.reason, str(exc), _bare(exc))
        except BaseException as exc:
            return SessionResult("internal", f"{type(exc).__name__} while reading: {exc} ({_place(exc)})")

    def _read(self) -> SessionResult:
        source = self._source = self._connect()
        if not self._given_up.is_set():
            info = source.open()
            if info.duration_s is not None:
                self._frozen = None  # recordings played like a camera may well stand still
            self._last_activity_ns = self._clock.monotonic_ns()
            for frame in source.frames():
                if self._given_up.is_set():
                    break
                self._deliver(frame)
                if self._frozen is not None and self._frozen.is_frozen(frame):
                    return SessionResult("frozen", f"frozen picture for {self._frozen.after_s:g} s")
        return SessionResult("closed", "closed") if self._given_up.is_set() else SessionResult("end", "end of the recording")

    def _deliver(self, frame: Frame) -> None:
        self._emitting = True
        try:
            self._position.hand_on(frame, self._token, self._counted)
        finally:
            self._emitting = False
        self._last_activity_ns = self._clock.monotonic_ns()
        self.frames += 1
        if self.frames == 1:
            self._on_change()

    def _counted(self, frame: Frame) -> None:
        if self._given_up.is_set():
            return
        self._observer.frame(self._camera, "capture")
        self._emit(frame)


def _bare(error: SourceError) -> SourceError:
    """Without its traceback, which would keep the connection, its decoder and its last pictures in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _place(error: BaseException) -> str:
    """File and line where it was raised."""
    steps = traceback.extract_tb(error.__traceback__)
    return f"{Path(steps[-1].filename).name}:{steps[-1].lineno}" if steps else "unknown place"
