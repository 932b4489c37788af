"""The threads of one ``ferstream.watch``: cameras through a pipeline, without broker, outbox and pages."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from functools import partial

from ferstream.api.first_opening import FirstOpening
from ferstream.api.networks import pipeline_pool
from ferstream.api.opencv_threads import one_opencv_thread
from ferstream.api.queue_sink import QueueSink
from ferstream.api.session import Session
from ferstream.app.assembly import Engine, encoder, live_mode
from ferstream.app.cameras import Cameras
from ferstream.app.factories import CameraPlan, camera_plan, detection_plan, inference_plan
from ferstream.errors import FerstreamError, SourceTimeoutError
from ferstream.logs import use_standard_logging
from ferstream.pipeline.models import Models
from ferstream.pipeline.pipeline import Pipeline
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.channel import Overflow
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import CameraSettings, Settings

POLL_S = 0.1
"""Longest time in seconds until the thread of the session notices that it shall end."""
SLACK_S = 5.0
"""Time in seconds after the camera's own limit for a first picture, so that the source itself says what was missing."""


@dataclass(frozen=True, slots=True)
class WatchJob:
    """What is watched.

    Attributes:
        settings: The settings with the cameras to run.
        schemas: The wanted kinds of events.
        buffer: Most events that wait for the program; then the oldest one is dropped.
    """

    settings: Settings
    schemas: frozenset[str]
    buffer: int


class WatchSession(Session):
    """Runs the cameras of its settings; see ``Session``."""

    def __init__(self, job: WatchJob, *, must_open: bool) -> None:
        """Set up; ``start`` runs it.

        Args:
            job: What is watched.
            must_open: Whether a camera whose first connection fails ends the session with its error; else it is tried again like a
                lost one.
        """
        super().__init__(name="ferstream-watch", capacity=job.buffer, overflow=Overflow.DROP_OLDEST)
        self._settings, self._schemas, self._must_open = job.settings, job.schemas, must_open
        self._opening = FirstOpening(self._opened)
        self._opening_error: FerstreamError | None = None

    def wait_until_open(self) -> None:
        """Wait until the pipeline runs, and with ``must_open`` until the source was opened.

        Raises:
            FerstreamError: The models cannot be loaded, or the source cannot be opened.
        """
        self.ready.wait()
        if self._opening_error is not None:
            raise self._opening_error
        self.raise_failure()

    def _work(self) -> None:
        use_standard_logging()
        mode = live_mode(self._settings)
        key = (detection_plan(self._settings), inference_plan(self._settings, deterministic=mode.deterministic))
        with one_opencv_thread(), pipeline_pool().borrowed(key) as models:
            try:
                self._run_cameras(models)
            finally:
                models.end_of_pipeline()

    def _run_cameras(self, models: Models) -> None:
        fatal, counters = Fatal(), Counters()
        sink = QueueSink(events=self.events, schemas=self._schemas)
        outputs = SinkSet(
            encoder=encoder(models, node=self._settings.node, boot_id=secrets.token_hex(8)),
            sinks=(sink,),
            observer=counters,
            on_failure=fatal.report,
        )
        made = Engine(self._settings, mode=live_mode(self._settings), models=models, outputs=(outputs,), fatal=fatal)
        pipeline = made.new_pipeline(counters)
        pipeline.start()
        try:
            self._cameras(made, pipeline).start(self._settings.cameras)
            pipeline.seal()
            if not self._must_open:
                self.ready.set()
            self._wait(pipeline)
        finally:
            pipeline.stop(timeout_s=self._settings.runtime.shutdown_timeout_s)

    def _cameras(self, made: Engine, pipeline: Pipeline) -> Cameras:
        plan = partial(camera_plan, width=self._settings.detection.width, observer=pipeline.counters, clock=made.clock)

        def make_plan(camera: CameraSettings) -> CameraPlan:
            try:
                found = plan(camera)
            except FerstreamError as exc:
                self._opening.report(exc)
                raise
            return replace(found, connect=lambda: self._opening.watched(found.connect()))

        return Cameras(pipeline=pipeline, make_plan=make_plan, set_masks=made.models.set_masks, clock=made.clock)

    def _wait(self, pipeline: Pipeline) -> None:
        """Wait until the cameras have ended, or the program or an error ends the session."""
        limit_s = max(camera.first_picture_within_s for camera in self._settings.cameras) + SLACK_S
        deadline = time.monotonic() + limit_s
        while not pipeline.join(POLL_S):
            if time.monotonic() > deadline:
                self._opening.report(SourceTimeoutError(f"the source could not be opened within {limit_s:g} s"))
            if self._opening_error is not None or self.asked_to_end.is_set():
                return
            if pipeline.fatal.first is not None:
                where, error = pipeline.fatal.first
                raise error if isinstance(error, FerstreamError) else FerstreamError(f"{where} failed: {error}") from error

    def _opened(self, error: FerstreamError | None) -> None:
        if self._must_open:
            self._opening_error = error
            self.ready.set()
