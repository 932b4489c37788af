"""Watches one session from its start to its end: first frame, frame rate, stall. Runs in the watching thread of the camera."""

from __future__ import annotations

import threading

from ferstream.capture.limits import Timings
from ferstream.capture.session import CaptureSession, SessionResult
from ferstream.capture.status import CameraStateMachine
from ferstream.domain.event import CameraStatus
from ferstream.runtime.clock import Clock

STOPPED = SessionResult("closed", "stopped")
"""The result of a session that ``CameraRunner.stop`` ended."""


class StopSignal:
    """Tells the watching thread that it must stop, or that something changed. Any thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._changed = threading.Condition()

    def set(self) -> None:
        """Ask for the stop."""
        self._stop.set()
        self.notify()

    def is_set(self) -> bool:
        """Return whether a stop was asked for."""
        return self._stop.is_set()

    def notify(self) -> None:
        """Wake the watching thread, which then checks its session."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the stop only; return whether it was asked for."""
        return self._stop.wait(timeout_s)

    def wait_for_result(self, session: CaptureSession, timeout_s: float, *, or_first_frame: bool = False) -> bool:
        """Wait until the session ended, optionally until its first frame, or until the stop; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stop.is_set() or session.result is not None or (or_first_frame and session.frames > 0), timeout_s
            )


class SessionWatch:
    """Waits for the end of one session, and keeps the state of the camera up to date meanwhile."""

    def __init__(self, session: CaptureSession, *, state: CameraStateMachine, stop: StopSignal, timings: Timings, clock: Clock) -> None:
        """Set up.

        Args:
            session: The session, already started.
            state: The state of the camera.
            stop: Ends the wait; notified by the session.
            timings: Time limits.
            clock: Monotonic time.
        """
        self._session, self._state, self._stop = session, state, stop
        self._timings, self._clock = timings, clock
        self.online = False
        """Whether the session delivered a frame."""
        self._counted, self._counted_ns = 0, clock.monotonic_ns()

    def wait(self) -> SessionResult:
        """Wait until the session ends, stalls, or the camera is to stop; return which."""
        while not self._stop.is_set():
            self._stop.wait_for_result(self._session, self._timings.wake_every_s, or_first_frame=not self.online)
            if self._session.frames and not self.online:
                self._enter_online()
            if self._session.result is not None:
                return self._session.result
            limit_s = self._timings.stall_after_s if self._session.frames else self._timings.connect_within_s
            if self._seconds_since(self._session.last_activity_ns) > limit_s:
                return self._enter_stalled(f"no picture for {limit_s:g} s")
            if self.online:
                self._report_fps()
        return STOPPED

    def _enter_online(self) -> None:
        self.online = True
        self._state.enter(CameraStatus.ONLINE)
        self._start_counting()

    def _enter_stalled(self, reason: str) -> SessionResult:
        """Report the stall now: closing a source that hangs takes time."""
        self._state.enter(CameraStatus.STALLED, reason)
        return SessionResult("stalled", reason)

    def _report_fps(self) -> None:
        """Report the frame rate when an interval is over; the first interval is short."""
        reported = self._state.state is not None and self._state.state.fps > 0
        interval_s = self._timings.fps_every_s if reported else self._timings.fps_every_s / 5
        elapsed_s = self._seconds_since(self._counted_ns)
        if elapsed_s >= interval_s:
            self._state.report_fps((self._session.frames - self._counted) / elapsed_s)
            self._start_counting()

    def _start_counting(self) -> None:
        self._counted, self._counted_ns = self._session.frames, self._clock.monotonic_ns()

    def _seconds_since(self, then_ns: int) -> float:
        return (self._clock.monotonic_ns() - then_ns) / 1e9
