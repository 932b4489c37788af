"""Keeps one camera delivering: connects, watches, closes, waits, connects again.

::

    connecting --> online --> stalled --> reconnecting --> online
        |            |                     ^      |
        |            +---------------------+      +--> offline (after several failures; it goes on connecting)
        +--> reconnecting, offline

A ``CaptureSession`` is one connection; connecting again is done here. Each camera has two threads: ``capture-NAME`` reads
and is replaced when it hangs, ``watch-NAME`` runs this state machine. A recording is read once: its end or error is final.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ferstream.capture.frozen import FrozenPicture
from ferstream.capture.limits import Timings
from ferstream.capture.session import CaptureSession, FrameNumbering, SessionResult
from ferstream.capture.source import Source
from ferstream.capture.status import CameraStateMachine
from ferstream.capture.watch import STOPPED, SessionWatch, StopSignal
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

NAME = "capture"
MAX_ABANDONED = 8
"""So many abandoned threads of one camera are a fatal error, and the process asks to be restarted."""
OFFLINE_AFTER_FAILURES = 3
"""So many failures in a row make a camera ``offline`` instead of ``reconnecting``."""


def _ignore_fatal(name: str, error: BaseException) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerCallbacks:
    """What a camera's threads call.

    Attributes:
        emit: Takes each frame, from the reading thread; raises ClosedError when the pipeline ended.
        on_state: Called with each new state, in order, from the watching thread.
        on_end: Called once, after the last frame and the last state.
        on_fatal: Called with the runner's name and the error when the process must be restarted.
    """

    emit: Callable[[Frame], None]
    on_state: Callable[[CameraState], None]
    on_end: Callable[[], None]
    on_fatal: Callable[[str, BaseException], None] = _ignore_fatal


class CameraRunner:
    """Runs one camera from ``start`` to ``stop``, or to the end of its recording."""

    def __init__(
        self,
        *,
        camera: str,
        connect: Callable[[], Source],
        live: bool,
        callbacks: RunnerCallbacks,
        observer: Observer,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        timings: Timings | None = None,
    ) -> None:
        """Set up; ``start`` begins.

        Args:
            camera: Name of the camera.
            connect: Makes a new source for each session; called in the reading thread.
            live: Whether to connect again after every end.
            callbacks: Take frames, states, the end and fatal errors.
            observer: Receives counts.
            clock: The machine's clocks.
            backoff: Waits between two sessions.
            timings: Time limits and intervals.
        """
        self._camera, self._connect, self._live, self._callbacks = camera, connect, live, callbacks
        self._observer, self._clock = observer, clock or SystemClock()
        self._backoff, self._timings = backoff or Backoff(), timings or Timings()
        self._stop = StopSignal()
        self._state = CameraStateMachine(camera=camera, on_state=callbacks.on_state, observer=observer, clock=self._clock)
        self._numbering = FrameNumbering()
        self._abandoned: list[threading.Thread] = []
        self._failures = 0
        self._failure: SourceError | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{camera}", daemon=True)

    # -- for the owner ------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """``capture-`` and the name of the camera."""
        return f"{NAME}-{self._camera}"

    @property
    def state(self) -> CameraState | None:
        """The present state, None before ``start``."""
        return self._state.state

    @property
    def failure(self) -> SourceError | None:
        """Why a recording could not be read to its end; None otherwise."""
        return self._failure

    @property
    def abandoned(self) -> int:
        """Number of abandoned threads that still hang."""
        return sum(thread.is_alive() for thread in self._abandoned)

    def start(self) -> None:
        """Start the threads; once (RuntimeError otherwise)."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end and return at once. Any thread, more than once."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; return False after ``timeout_s`` seconds.

        A read that hangs does not delay the end: its thread is abandoned, and frames it still delivers are discarded.
        """
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the watching thread ------------------------------------------------------------------

    def _run(self) -> None:
        result = STOPPED
        try:
            result = self._keep_connected()
        except BaseException as exc:  # noqa: BLE001 (thread boundary: reported as fatal)
            result = SessionResult("internal", f"{type(exc).__name__} in the supervision of the camera")
            self._callbacks.on_fatal(self.name, exc)
        finally:
            try:
                self._state.enter(CameraStatus.OFFLINE, result.text)
            finally:
                self._callbacks.on_end()

    def _keep_connected(self) -> SessionResult:
        """Run one session after another; return why the camera ended for good."""
        self._state.enter(CameraStatus.CONNECTING)
        while not self._stop.is_set():
            result = self._run_session()
            if self._stop.is_set() or result.kind in ("end", "closed"):
                return STOPPED if self._stop.is_set() else result
            if not self._live:
                self._failure = result.error or SourceError(result.text)
                return result
            self._enter_failure(result)
            if self._stop.wait(self._reconnect_wait_s(result)):
                break
            self._observer.reconnect(self._camera, result.kind)
        return STOPPED

    def _run_session(self) -> SessionResult:
        frozen_after_s = self._timings.frozen_after_s if self._live else 0
        session = CaptureSession(
            camera=self._camera,
            connect=self._connect,
            emit=self._callbacks.emit,
            numbering=self._numbering,
            frozen=FrozenPicture(after_s=frozen_after_s) if frozen_after_s else None,
            on_change=self._stop.notify,
            observer=self._observer,
            clock=self._clock,
        )
        session.start()
        watch = SessionWatch(session, state=self._state, stop=self._stop, timings=self._timings, clock=self._clock)
        result = watch.wait()
        self._close(session)
        if watch.online:
            self._failures = 0
        self._backoff.succeeded((self._clock.monotonic_ns() - session.started_ns) / 1e9 if session.frames else 0.0)
        return result

    def _close(self, session: CaptureSession) -> None:
        """Close the source and wait for its thread; abandon a thread that does not return in time."""
        session.cancel()
        in_time = self._stop.wait_for_result(session, self._timings.grace_s)
        session.thread.join(min(self._timings.stop_grace_s, self._timings.grace_s) if in_time else 0.0)
        if not session.thread.is_alive():
            return
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()] + [session.thread]
        self._observer.count("capture_abandoned", self._camera)
        if len(self._abandoned) >= MAX_ABANDONED:
            error = SourceError(f"camera {self._camera}: {len(self._abandoned)} reads hang for good; restart the process")
            self._callbacks.on_fatal(self.name, error)

    def _reconnect_wait_s(self, result: SessionResult) -> float:
        """Return the seconds to wait before the next session."""
        wait_s = self._backoff.next_s()
        return wait_s + self._timings.auth_wait_s if result.kind == "authentication" else wait_s

    def _enter_failure(self, result: SessionResult) -> None:
        """Change the state after a failed session: reconnecting, or offline after several failures."""
        self._failures += 1
        if result.kind == "frozen":
            self._state.enter(CameraStatus.STALLED, result.text)
        offline = self._failures >= OFFLINE_AFTER_FAILURES or result.kind == "authentication"
        self._state.enter(CameraStatus.OFFLINE if offline else CameraStatus.RECONNECTING, result.text)
