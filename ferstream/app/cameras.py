"""Starts, stops, changes and switches the cameras of a running daemon. Main thread only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog

from ferstream.app.factories import CameraPlan
from ferstream.capture.limits import Timings
from ferstream.capture.opened import ReportedSource
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.detection.mask import Polygon
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.errors import FerstreamError
from ferstream.pipeline.components import CameraCallbacks
from ferstream.pipeline.pipeline import Pipeline
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import Clock
from ferstream.settings import CameraSettings, Changes

REMOVE_TIMEOUT_S = 10.0
"""Longest wait for one camera to end, in seconds."""

ENDED = ("stopped", "end of the recording")
"""Reasons of an offline camera that are not a failure."""

_SLACK_S = 5.0
"""Time after the camera's own limit for a first picture, so that the source itself says what was missing."""

_LOG = structlog.get_logger(__name__)


class Cameras:
    """The cameras of the settings in one pipeline, changed by reloads and commands."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        make_plan: Callable[[CameraSettings], CameraPlan],
        set_masks: Callable[[str, Sequence[Polygon]], None],
        clock: Clock,
        remove_timeout_s: float = REMOVE_TIMEOUT_S,
    ) -> None:
        """Start without cameras.

        Args:
            pipeline: Runs the cameras.
            make_plan: Makes the plan of a camera from its settings; raises FerstreamError for a source that cannot be used.
            set_masks: Called with the name of a camera and its privacy masks before the camera is started.
            clock: Monotonic time and UTC.
            remove_timeout_s: Longest wait for one camera to end, in seconds; after it the camera's thread is abandoned.
        """
        self._pipeline, self._make_plan, self._set_masks, self._clock = pipeline, make_plan, set_masks, clock
        self._remove_timeout_s = remove_timeout_s
        self._wanted: dict[str, CameraSettings] = {}
        self._choices: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all cameras of the settings, also of those that are switched off."""
        return tuple(self._wanted)

    def start(self, cameras: Iterable[CameraSettings]) -> None:
        """Add cameras and start the enabled ones.

        A camera that cannot be set up gets the state offline with the reason; the others are started.
        """
        for camera in cameras:
            self._wanted[camera.name] = camera
            if camera.enabled:
                self._run(camera)
            else:
                self._set_state(camera.name, CameraStatus.DISABLED, "switched off in the settings")

    def apply(self, changes: Changes) -> None:
        """Apply the differences of new settings; cameras without a difference run on."""
        for name in (*changes.removed, *(camera.name for camera in changes.changed)):
            self._pipeline.cameras.ask_to_end(name)  # all of them before waiting for the first: they end in parallel
        for name in changes.removed:
            self._end(name)
            del self._wanted[name]
        for camera in changes.changed:
            self._end(camera.name)
        self.start((*changes.added, *changes.changed))

    def switch(self, name: str, *, on: bool) -> None:
        """Enable or disable one camera until it is changed by a reload or the daemon is restarted."""
        camera = self._wanted.get(name)
        if camera is None:
            _LOG.warning("a command names an unknown camera", camera=name)
        elif on and name not in self._pipeline.cameras.names:
            self._run(camera)
        elif not on and name in self._pipeline.cameras.names:
            self._end(name)
            self._set_state(name, CameraStatus.DISABLED, "switched off by a command")

    def _run(self, camera: CameraSettings) -> None:
        if camera.encrypted and not camera.tls_verify:
            _LOG.warning("tls_verify is false: the camera's certificate is not verified", camera=camera.name)
        try:
            plan = self._make_plan(camera)
            self._set_masks(camera.name, camera.masks)
        except FerstreamError as exc:
            _LOG.error("a camera cannot be started", camera=camera.name, reason=str(exc))
            self._set_state(camera.name, CameraStatus.OFFLINE, str(exc))
            return
        self._pipeline.cameras.add(camera.name, live=plan.live, make_runner=lambda callbacks: self._runner(plan, camera, callbacks))

    def _runner(self, plan: CameraPlan, camera: CameraSettings, callbacks: CameraCallbacks) -> CameraRunner:
        return CameraRunner(
            camera=plan.name,
            connect=lambda: ReportedSource(plan.connect(), on_open=lambda info: self._log_choice(plan.name, info.choice)),
            live=plan.live,
            callbacks=RunnerCallbacks(
                emit=callbacks.emit,
                on_state=lambda state: self._log_and_set_state(state, callbacks),
                on_end=callbacks.on_end,
                on_fatal=self._pipeline.fatal.report,
            ),
            observer=self._pipeline.counters,
            clock=self._clock,
            backoff=Backoff(floor_s=camera.reconnect_min_s, cap_s=camera.reconnect_max_s),
            timings=Timings(
                stall_after_s=camera.stall_after_s,
                frozen_after_s=camera.frozen_after_s,
                connect_within_s=camera.first_picture_within_s + _SLACK_S,
            ),
        )

    def _log_choice(self, name: str, choice: str) -> None:
        """Log which of several video streams is read, once until it changes. Called in the reading thread of the camera."""
        if choice and choice != self._choices.get(name):
            self._choices[name] = choice
            _LOG.info("a camera has several video streams", camera=name, choice=choice)

    def _log_and_set_state(self, state: CameraState, callbacks: CameraCallbacks) -> None:
        before = self._pipeline.cameras.states().get(state.camera)
        if before is None or (before.status, before.reason) != (state.status, state.reason):
            good = state.status in {CameraStatus.ONLINE, CameraStatus.CONNECTING} or state.reason in ENDED
            (_LOG.info if good else _LOG.warning)(f"camera {state.status}", camera=state.camera, reason=state.reason or None)
        callbacks.on_state(state)

    def _end(self, name: str) -> None:
        if name in self._pipeline.cameras.names and not self._pipeline.cameras.remove(name, timeout_s=self._remove_timeout_s):
            _LOG.warning("a camera did not end in time; its thread is abandoned", camera=name)

    def _set_state(self, name: str, status: CameraStatus, reason: str) -> None:
        self._pipeline.counters.camera_up(name, up=False)
        self._pipeline.cameras.set_state(CameraState(name, status, reason, self._clock.utc_ns()))
