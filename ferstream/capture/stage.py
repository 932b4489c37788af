"""Keeps one camera delivering: connects, watches, gives up, waits, connects again.

::

    connecting --> online --> stalled --> reconnecting --> online
        |            |                     ^      |
        |            +---------------------+      +--> offline (several attempts failed; goes on trying)
        +--> reconnecting, offline

Retrying is here, one connection is an ``CaptureSession``. Two threads a camera: ``capture-NAME`` reads and is replaced
when it hangs, ``watch-NAME`` runs this state machine. A recording is read once: its end or its error is final.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ferstream.capture.frozen import FrozenPicture
from ferstream.capture.session import CaptureSession, FrameNumbering, SessionResult
from ferstream.capture.source import Source
from ferstream.capture.status import Status
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.observer import Observer

NAME = "capture"
MAX_ABANDONED = 8
"""Hung threads of one camera that may be left behind before the process asks to be restarted."""
OFFLINE_AFTER_FAILURES = 3
AUTH_WAIT_S = 60.0
"""Between attempts with refused credentials: cameras lock accounts."""
FPS_EVERY_S = 10.0
STOP_GRACE_S = 2.0
"""Once the camera is to end, for its source to return: nothing it still delivers would be taken."""
_PATIENCE_S = 1.0


class CameraRunner:
    """Runs one camera from ``start`` to ``stop``, or to the end of its recording."""

    def __init__(
        self,
        *,
        camera: str,
        connect: Callable[[], Source],
        live: bool,
        emit: Callable[[Frame], None],
        on_state: Callable[[CameraState], None],
        on_end: Callable[[], None],
        observer: Observer,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        stall_after_s: float = 10.0,
        frozen_after_s: float = 60.0,
        connect_within_s: float = 30.0,
        grace_s: float = 10.0,
        on_fatal: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Set up.

        Args:
            camera: Name of the camera.
            connect: Makes a new source for each attempt; called in the reading thread.
            live: True to connect again whatever happens.
            emit: Takes the frames; raises ClosedError when nobody reads them any more.
            on_state: Told of every change, in order, from the watching thread.
            on_end: Called once, after the last frame and the last state.
            observer: Counts.
            clock: The machine's clocks.
            backoff: Waits between attempts.
            stall_after_s: Without a picture for so long an online camera is stalled.
            frozen_after_s: Identical pictures for so long count as stalled; 0 = off. Live cameras only.
            connect_within_s: Longest time from connecting to the first picture.
            grace_s: Time a closed source has to return before its thread is abandoned.
            on_fatal: Told when too many threads hang.
        """
        self._camera, self._connect, self._live = camera, connect, live
        self._emit, self._on_end = emit, on_end
        self._observer, self._clock = observer, clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._stall_after_s, self._frozen_after_s = stall_after_s, frozen_after_s
        self._connect_within_s, self._grace_s = connect_within_s, grace_s
        self._on_fatal = on_fatal
        self._stop, self._changed = threading.Event(), threading.Condition()
        self._status = Status(camera=camera, on_state=on_state, observer=observer, clock=self._clock)
        self._position = FrameNumbering()
        self._abandoned: list[threading.Thread] = []
        self._failures = 0
        self._failure: SourceError | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{camera}", daemon=True)

    # -- for the owner ------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """``capture-`` and the camera's name."""
        return f"{NAME}-{self._camera}"

    @property
    def state(self) -> CameraState | None:
        """The present state, None before ``start``."""
        return self._status.state

    @property
    def failure(self) -> SourceError | None:
        """Why a recording could not be read (to its end); None otherwise."""
        return self._failure

    @property
    def abandoned(self) -> int:
        """Threads left behind that still hang."""
        return sum(thread.is_alive() for thread in self._abandoned)

    def start(self) -> None:
        """Begin; once (RuntimeError otherwise)."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; returns at once. Any thread, more than once."""
        self._stop.set()
        self._wake()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it did not come in time.

        A read that hangs cannot hold it up: its thread is left behind, see ``abandoned``, and can deliver nothing more.
        """
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the watching thread ------------------------------------------------------------------

    def _run(self) -> None:
        ending = SessionResult("closed", "stopped")
        try:
            ending = self._keep_connected()
        except BaseException as exc:  # the thread must not die without a word
            ending = SessionResult("internal", f"{type(exc).__name__} in the camera's supervision")
            self._fatal(exc)
        finally:
            try:
                self._status.enter(CameraStatus.OFFLINE, ending.text)
            finally:
                self._on_end()

    def _keep_connected(self) -> SessionResult:
        """Connect again and again; how it ended for good."""
        self._status.enter(CameraStatus.CONNECTING)
        while not self._stop.is_set():
            ending = self._one_connection()
            if self._stop.is_set() or ending.kind in ("end", "closed"):
                return SessionResult("closed", "stopped") if self._stop.is_set() else ending
            if not self._live:
                self._failure = _as_source_error(ending)
                return ending
            self._enter_failed(ending)
            if self._wait(ending):
                break
            self._observer.reconnect(self._camera, ending.kind)
        return SessionResult("closed", "stopped")

    def _one_connection(self) -> SessionResult:
        attempt = CaptureSession(
            camera=self._camera,
            connect=self._connect,
            emit=self._emit,
            position=self._position,
            frozen=FrozenPicture(after_s=self._frozen_after_s) if self._live and self._frozen_after_s else None,
            on_change=self._wake,
            observer=self._observer,
            clock=self._clock,
        )
        attempt.start()
        ending = self._watched(attempt)
        self._let_go(attempt)
        self._backoff.succeeded(self._seconds_since(attempt.began_ns) if attempt.frames else 0.0)
        return ending

    def _watched(self, attempt: CaptureSession) -> SessionResult:
        """Wait until the attempt ends, stalls or is to stop; tells of the first frame and of the rate meanwhile."""
        counted, counted_ns = 0, self._clock.monotonic_ns()
        while not self._stop.is_set():
            self._sleep(attempt, told=counted > 0)
            if attempt.frames and not counted:
                self._failures = 0
                self._status.enter(CameraStatus.ONLINE)
                counted, counted_ns = attempt.frames, self._clock.monotonic_ns()
            if attempt.ending is not None:
                return attempt.ending
            limit_s = self._stall_after_s if attempt.frames else self._connect_within_s
            if self._seconds_since(attempt.last_activity_ns) > limit_s:
                return self._stalled(f"no picture for {limit_s:g} s")
            if counted and self._seconds_since(counted_ns) >= self._fps_due_s():
                self._status.rate((attempt.frames - counted) / self._seconds_since(counted_ns))
                counted, counted_ns = attempt.frames, self._clock.monotonic_ns()
        return SessionResult("closed", "stopped")

    def _stalled(self, reason: str) -> SessionResult:
        """Told at once: closing a source that hangs takes its time."""
        self._status.enter(CameraStatus.STALLED, reason)
        return SessionResult("stalled", reason)

    def _let_go(self, attempt: CaptureSession) -> None:
        """Close the source and wait for its thread; a thread that does not return is abandoned."""
        attempt.give_up()
        with self._changed:
            in_time = self._changed.wait_for(lambda: attempt.ending is not None or self._stop.is_set(), self._grace_s)
        attempt.thread.join(min(STOP_GRACE_S, self._grace_s) if in_time else 0.0)
        if not attempt.thread.is_alive():
            return
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()] + [attempt.thread]
        self._observer.count("capture_abandoned", self._camera)
        if len(self._abandoned) >= MAX_ABANDONED:
            self._fatal(SourceError(f"camera {self._camera}: {len(self._abandoned)} reads hang for good; restart the process"))

    def _wait(self, ending: SessionResult) -> bool:
        """Wait before the next attempt; True when stopped."""
        wait_s = self._backoff.next_s()
        if ending.kind == "authentication":
            wait_s += AUTH_WAIT_S
        return self._stop.wait(wait_s)

    def _enter_failed(self, ending: SessionResult) -> None:
        self._failures += 1
        if ending.kind == "frozen":
            self._status.enter(CameraStatus.STALLED, ending.text)
        hopeless = self._failures >= OFFLINE_AFTER_FAILURES or ending.kind == "authentication"
        self._status.enter(CameraStatus.OFFLINE if hopeless else CameraStatus.RECONNECTING, ending.text)

    def _fps_due_s(self) -> float:
        """The first rate comes soon, later ones seldom."""
        told = self._status.state is not None and self._status.state.fps > 0
        return FPS_EVERY_S if told else FPS_EVERY_S / 5

    def _fatal(self, error: BaseException) -> None:
        if self._on_fatal is not None:
            self._on_fatal(self.name, error)

    def _seconds_since(self, then_ns: int) -> float:
        return (self._clock.monotonic_ns() - then_ns) / 1e9

    def _sleep(self, attempt: CaptureSession, *, told: bool) -> None:
        """Until there is news of the attempt, or it is time to look at the clock."""
        patience_s = min(_PATIENCE_S, self._stall_after_s / 4, self._connect_within_s / 4)
        with self._changed:
            self._changed.wait_for(
                lambda: self._stop.is_set() or attempt.ending is not None or (attempt.frames > 0 and not told), patience_s
            )

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _as_source_error(ending: SessionResult) -> SourceError:
    return ending.error or SourceError(ending.text)
