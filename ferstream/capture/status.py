"""The state machine of one camera: which status may follow which, and the report of each change.

``connecting`` comes once; ``reconnecting`` after a failure; ``offline`` after several failures, or at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer
from ferstream.runtime.redaction import redact

_S = CameraStatus
_AFTER_A_START = frozenset({_S.ONLINE, _S.STALLED, _S.RECONNECTING, _S.OFFLINE})
TRANSITIONS: Mapping[CameraStatus | None, frozenset[CameraStatus]] = {
    None: frozenset({_S.CONNECTING}),
    _S.CONNECTING: _AFTER_A_START,
    _S.ONLINE: _AFTER_A_START,
    _S.STALLED: frozenset({_S.RECONNECTING, _S.OFFLINE}),
    _S.RECONNECTING: _AFTER_A_START,
    _S.OFFLINE: _AFTER_A_START,
}
"""Which status may follow which."""
_FPS_CHANGE = 0.1


class CameraStateMachine:
    """Keeps the state of a camera and reports its changes. The watching thread changes it, any thread may read ``state``.

    Args:
        camera: Name of the camera.
        on_state: Called with each new state, in order.
        observer: Receives whether the camera is up.
        clock: UTC.
    """

    def __init__(self, *, camera: str, on_state: Callable[[CameraState], None], observer: Observer, clock: Clock) -> None:
        self._camera, self._on_state = camera, on_state
        self._observer, self._clock = observer, clock
        self.state: CameraState | None = None
        """The present state; None before the first."""

    def enter(self, status: CameraStatus, reason: str = "", *, fps: float = 0.0) -> None:
        """Change the state and report it; an equal state is not reported again.

        Args:
            status: The new status.
            reason: One line for people; secrets are removed here.
            fps: Frames captured per second, measured lately.

        Raises:
            RuntimeError: ``status`` cannot follow the present one (a bug).
        """
        before = self.state
        if status not in TRANSITIONS[before.status if before else None]:
            raise RuntimeError(f"camera {self._camera}: {status} cannot follow {before.status if before else 'nothing'}")
        reason = redact(reason)
        same = before is not None and (before.status, before.reason) == (status, reason)
        if same and before is not None and before.fps == fps:
            return
        since_ns = before.since_ns if same and before is not None else self._clock.utc_ns()
        self.state = CameraState(self._camera, status, reason, since_ns, fps)
        self._observer.camera_up(self._camera, status is CameraStatus.ONLINE)
        self._on_state(self.state)

    def report_fps(self, fps: float) -> None:
        """Report the frame rate of an online camera, if it changed by more than a tenth."""
        reported = self.state.fps if self.state else 0.0
        if abs(fps - reported) > _FPS_CHANGE * reported:
            self.enter(CameraStatus.ONLINE, fps=round(fps, 1))
