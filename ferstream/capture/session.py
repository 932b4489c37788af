"""One connection to a source, read by a thread of its own that can be abandoned.

A native read may hang for good. Its thread cannot be killed, so it is abandoned: it goes on as a daemon thread, and
every frame it still delivers is discarded.
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
    """How a session ended.

    Attributes:
        kind: One of ``end``, ``closed``, ``stalled``, ``frozen``, ``internal``, or the ``reason`` of a SourceError.
        text: One line for people.
        error: What the source raised, if it did.
    """

    kind: str
    text: str
    error: SourceError | None = None


class FrameNumbering:
    """Continues frame numbers and media times over all sessions of a camera. Any reading thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: object = None
        self._index_offset = 0
        self._media_offset_ns = 0
        self._first_captured_ns: int | None = None
        self._last_index = -1
        self._last_media_ns = -1

    def deliver(self, frame: Frame, owner: object, emit: Callable[[Frame], None]) -> None:
        """Renumber a frame and emit it, under one lock, so that frames of two sessions never interleave.

        Args:
            frame: The frame, numbered within its session.
            owner: Identifies the session; a new one starts after the last frame so far.
            emit: Takes the renumbered frame.
        """
        with self._lock:
            emit(self._renumber(frame, owner))

    def _renumber(self, frame: Frame, owner: object) -> Frame:
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
        return frame.with_info(replace(info, index=self._last_index, media_time_ns=self._last_media_ns))


class CaptureSession:
    """Connects once and reads to the end, in the thread ``capture-NAME``. The owner watches ``last_activity_ns`` and ``result``."""

    def __init__(
        self,
        *,
        camera: str,
        connect: Callable[[], Source],
        emit: Callable[[Frame], None],
        numbering: FrameNumbering,
        frozen: FrozenPicture | None,
        on_change: Callable[[], None],
        observer: Observer,
        clock: Clock,
    ) -> None:
        """Set up; ``start`` begins.

        Args:
            camera: Name of the camera.
            connect: Makes the source; called in the reading thread.
            emit: Takes the frames; raises ClosedError when the pipeline ended.
            numbering: Frame numbers and media times of the camera.
            frozen: Detects a frozen picture; None to skip the check.
            on_change: Called from the reading thread at the first frame and at the end.
            observer: Receives counts.
            clock: Monotonic time.
        """
        self._camera, self._connect, self._emit, self._numbering = camera, connect, emit, numbering
        self._frozen, self._on_change, self._observer, self._clock = frozen, on_change, observer, clock
        self._token = object()
        self._cancelled = threading.Event()
        self._source: Source | None = None
        self._last_activity_ns = self.started_ns = clock.monotonic_ns()
        self._emitting = False
        self.frames = 0
        """Frames delivered so far."""
        self.result: SessionResult | None = None
        """How the session ended; None while it runs."""
        self.thread = threading.Thread(target=self._run, name=f"capture-{camera}", daemon=True)

    @property
    def last_activity_ns(self) -> int:
        """Monotonic time of the last activity; the present time while a recording waits for the pipeline."""
        if self._emitting:
            return self._clock.monotonic_ns()
        decoded_ns = self._source.last_activity_ns if self._source is not None else 0
        return max(self._last_activity_ns, decoded_ns)

    def start(self) -> None:
        """Start the thread, which connects; once."""
        self.thread.start()

    def cancel(self) -> None:
        """Close the source; frames that the thread still delivers are discarded. Any thread, more than once."""
        self._cancelled.set()
        if self._source is not None:
            self._source.close()

    def _run(self) -> None:
        result = self._read_to_end()
        try:
            if self._source is not None:
                self._source.close()
        finally:
            self.result = result
            self._on_change()

    def _read_to_end(self) -> SessionResult:
        """Read until the session ends and return why; errors become results."""
        try:
            return self._read()
        except ClosedError:
            return SessionResult("closed", "the pipeline ended")
        except SourceError as exc:
            return SessionResult(exc.reason, str(exc), _without_traceback(exc))
        except BaseException as exc:  # noqa: BLE001 (thread boundary: the result is reported, counted and retried)
            return SessionResult("internal", f"{type(exc).__name__} while reading: {exc} ({_raised_at(exc)})")

    def _read(self) -> SessionResult:
        source = self._source = self._connect()
        if not self._cancelled.is_set():
            info = source.open()
            if info.duration_s is not None:
                self._frozen = None  # a recording played like a camera may show one picture for long
            self._last_activity_ns = self._clock.monotonic_ns()
            for frame in source.frames():
                if self._cancelled.is_set():
                    break
                self._deliver(frame)
                if self._frozen is not None and self._frozen.is_frozen(frame):
                    return SessionResult("frozen", f"frozen picture for {self._frozen.after_s:g} s")
        return SessionResult("closed", "closed") if self._cancelled.is_set() else SessionResult("end", "end of the recording")

    def _deliver(self, frame: Frame) -> None:
        self._emitting = True
        try:
            self._numbering.deliver(frame, self._token, self._count_and_emit)
        finally:
            self._emitting = False
        self._last_activity_ns = self._clock.monotonic_ns()
        self.frames += 1
        if self.frames == 1:
            self._on_change()

    def _count_and_emit(self, frame: Frame) -> None:
        if self._cancelled.is_set():
            return
        self._observer.frame(self._camera, "capture")
        self._emit(frame)


def _without_traceback(error: SourceError) -> SourceError:
    """Drop the traceback, which would keep the connection, its decoder and its last pictures in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _raised_at(error: BaseException) -> str:
    """Return file and line where the error was raised."""
    steps = traceback.extract_tb(error.__traceback__)
    return f"{Path(steps[-1].filename).name}:{steps[-1].lineno}" if steps else "unknown place"
