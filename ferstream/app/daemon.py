"""The daemon: everything started in order, watched, and ended in order.

Start: networks, broker, sinks, stages, cameras, pages while the cameras connect, ready. End: cameras,
stages drain, sinks flush, telemetry last, all within one deadline.
The main thread does nothing but wait for signals, commands and the first fatal error.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from ferstream.app.broker import broker_for, broker_url, mqtt_sink
from ferstream.app.cameras import Cameras
from ferstream.app.factories import detection_plan, inference_plan, pipeline_config, random_run
from ferstream.app.signals import Signals, handled
from ferstream.app.sinks import flush_all
from ferstream.app.status import heartbeats_of, status_line, telemetry_server, watchdog_of
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.domain.ports import Sink
from ferstream.errors import ConfigError, ExitCode, FerstreamError
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.logs import set_level
from ferstream.pipeline.models import Models
from ferstream.pipeline.pipeline import Components, Pipeline
from ferstream.publishing.rate_limit import FaceRateLimit
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.runtime.memory import give_back, tune_allocator
from ferstream.settings import Settings, diff
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.telemetry.server import TelemetryServer
from ferstream.telemetry.systemd import Notifier
from ferstream.tracking.bytetrack import ByteTracker

LOOK_S = 0.25
"""Longest time until the main thread notices a fatal error."""
STATUS_S = 5.0
"""Between two lines for systemctl status."""
GIVE_BACK_S = 60.0
"""Between two times that free memory is returned to the system."""
STUCK_TIMEOUT_S = 2.0
"""For saving events when a stage is stuck; nothing is drained then."""

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """What can be said of the daemon once it runs; for a greeting on the terminal."""

    settings: Settings
    broker: EmbeddedBroker | None
    server: TelemetryServer | None
    sink: MqttSink
    pipeline: Pipeline


class Daemon:
    """Runs cameras until told to stop; main thread.

    Args:
        settings: What to run.
        reload: Reads the settings again, for SIGHUP; None ignores it.
        seconds: End by itself after so long; 0 = never.
        durable: Keep the outbox on disk.
        on_running: Told once, when everything runs.
        extra_sinks: Take the events too, e.g. to show them on a terminal.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reload: Callable[[], Settings] | None = None,
        seconds: float = 0.0,
        durable: bool = True,
        on_running: Callable[[Running], None] = lambda running: None,
        extra_sinks: Sequence[Sink] = (),
    ) -> None:
        self._extra_sinks = tuple(extra_sinks)
        self._settings, self._reload, self._seconds, self._durable = settings, reload, seconds, durable
        self._on_running = on_running
        self._clock, self._counters, self._signals = SystemClock(), Counters(), Signals()
        self._notifier = Notifier.from_environment()
        self._commands: deque[tuple[str, bytes]] = deque(maxlen=1000)
        self._stuck: str | None = None
        self._fps = (0, time.monotonic(), 0.0)

    def run(self) -> ExitCode:
        """Run to the end; how it ended.

        Raises:
            FerstreamError: It could not start, or a stage failed for good.
        """
        tune_allocator()
        with handled(self._signals), ExitStack() as stack:
            models = self._models(stack)
            pipeline, sink, broker = self._pipeline(models, stack)
            cameras = Cameras(pipeline=pipeline, models=models, width=self._settings.detection.width, clock=self._clock)
            pipeline.start()
            cameras.start(self._settings.cameras)
            server = self._pages(pipeline, cameras, models, sink, stack)
            self._notifier.ready(status_line(pipeline, sink, 0.0))
            _LOG.info(
                "running",
                cameras=len(cameras.names),
                metrics=server.url if server else None,
                mqtt=f"127.0.0.1:{broker.port} (embedded)" if broker else self._settings.mqtt.url,
                broker=sink.reason or "connected",
            )
            self._on_running(Running(self._settings, broker, server, sink, pipeline))
            self._wait(pipeline, cameras, sink)
            return self._end(pipeline, sink)

    # -- start --------------------------------------------------------------------------------

    def _models(self, stack: ExitStack) -> Models:
        models = Models(detection=detection_plan(self._settings), inference=inference_plan(self._settings, deterministic=False))
        stack.callback(models.close)
        return models

    def _pipeline(self, models: Models, stack: ExitStack) -> tuple[Pipeline, MqttSink, EmbeddedBroker | None]:
        settings, counters = self._settings, self._counters
        broker = stack.enter_context(broker_for(settings.mqtt))
        sink = mqtt_sink(
            settings,
            classifier=models.classifier,
            boot_id=secrets.token_hex(8),
            observer=counters,
            url=broker_url(settings, broker),
            durable=self._durable,
            on_command=self._on_command,
            on_fatal=lambda where, error: pipeline.fatal.report(where, error),
        )
        sink.open()
        stack.callback(sink.close)
        components = Components(
            finders=models.finders(),
            new_tracker=lambda camera: ByteTracker(camera=camera, run=random_run(), lifespan_s=settings.tracking.lifespan_s),
            classify=models.classification(max_batch=settings.inference.max_batch, observer=counters),
            new_labeller=lambda camera: SmoothingLabeller(
                time_constant_s=settings.tracking.smoothing_s, min_confidence=settings.inference.min_confidence
            ),
            sinks=(sink, *self._extra_sinks),
            allow=FaceRateLimit(max_hz=settings.publishing.max_hz_per_face).allows,
        )
        pipeline = Pipeline(
            components=components, config=pipeline_config(settings), counters=counters, clock=self._clock, on_error=_log_error
        )
        return pipeline, sink, broker

    def _pages(self, pipeline: Pipeline, cameras: Cameras, models: Models, sink: MqttSink, stack: ExitStack) -> TelemetryServer | None:
        """Open the pages while the cameras connect; a port that is taken ends everything again."""
        try:
            return self._telemetry(pipeline, cameras, models, sink, stack)
        except BaseException:
            pipeline.stop(timeout_s=STUCK_TIMEOUT_S)
            raise

    def _telemetry(self, pipeline: Pipeline, cameras: Cameras, models: Models, sink: MqttSink, stack: ExitStack) -> TelemetryServer | None:
        heartbeats = heartbeats_of(self._settings, pipeline)
        server = None
        if self._settings.http.enabled:
            server = telemetry_server(self._settings, pipeline=pipeline, cameras=cameras, models=models, sink=sink, heartbeats=heartbeats)
            server.start()
            stack.callback(server.stop)
        watchdog = watchdog_of(self._settings, heartbeats=heartbeats, notifier=self._notifier, on_stuck=self._on_stuck)
        if watchdog is not None:
            watchdog.start()
            stack.callback(watchdog.stop)
        return server

    # -- while it runs ------------------------------------------------------------------------

    def _wait(self, pipeline: Pipeline, cameras: Cameras, sink: MqttSink) -> None:
        ends_at = time.monotonic() + self._seconds if self._seconds else float("inf")
        next_status = time.monotonic()
        next_return = next_status + GIVE_BACK_S
        while not self._over(pipeline) and time.monotonic() < ends_at:
            self._signals.wake.wait(min(LOOK_S, max(0.0, ends_at - time.monotonic())))
            self._signals.wake.clear()
            if self._signals.take_reload():
                self._reload_settings(cameras, pipeline, sink)
            self._obey(cameras)
            if self._notifier.enabled and time.monotonic() >= next_status:
                next_status = time.monotonic() + STATUS_S
                self._notifier.status(status_line(pipeline, sink, self._rate()))
            if time.monotonic() >= next_return:
                next_return = time.monotonic() + GIVE_BACK_S
                give_back()

    def _over(self, pipeline: Pipeline) -> bool:
        return self._signals.stop_asked or self._stuck is not None or pipeline.fatal.is_set()

    def _rate(self) -> float:
        """Frames analysed a second since the last call."""
        frames = sum(count for (_, stage), count in self._counters.snapshot().frames.items() if stage == "publishing")
        now = time.monotonic()
        rate = (frames - self._fps[0]) / max(1e-3, now - self._fps[1])
        self._fps = (frames, now, rate)
        return rate

    def _on_command(self, camera: str, payload: bytes) -> None:
        self._commands.append((camera, payload))
        self._signals.wake.set()

    def _obey(self, cameras: Cameras) -> None:
        while self._commands:
            camera, payload = self._commands.popleft()
            text = payload.strip().upper()
            if text in {b"ON", b"OFF"}:
                cameras.switch(camera, on=text == b"ON")
            else:
                _LOG.warning("a command is neither ON nor OFF", camera=camera, length=len(payload))

    def _reload_settings(self, cameras: Cameras, pipeline: Pipeline, sink: MqttSink) -> None:
        if self._reload is None:
            return
        self._notifier.reloading()
        try:
            new = self._reload()
        except ConfigError as exc:
            _LOG.error("the new settings are refused; the old ones stay", reason=str(exc))
        else:
            self._take_over(new, cameras, sink)
        self._notifier.ready(status_line(pipeline, sink, self._rate()))

    def _take_over(self, new: Settings, cameras: Cameras, sink: MqttSink) -> None:
        changes = diff(self._settings, new)
        for camera in changes.added:
            sink.remember_camera(camera.name)  # before it says anything: what is told of a forgotten camera is not retained
        cameras.apply(changes)
        for name in changes.removed:
            sink.forget_camera(name)
        if "log.level" in changes.live:
            set_level(new.log.level)
        if changes.restart:
            _LOG.warning("these settings need a restart", keys=", ".join(changes.restart))
        self._settings = new
        _LOG.info(
            "settings reloaded",
            added=[camera.name for camera in changes.added],
            removed=list(changes.removed),
            changed=[camera.name for camera in changes.changed],
        )

    def _on_stuck(self, stage: str) -> None:
        self._stuck = stage
        self._signals.wake.set()
        # Should the main thread be stuck as well, nothing else would end the process.
        timer = threading.Timer(3 * STUCK_TIMEOUT_S, partial(os._exit, int(ExitCode.INTERNAL)))
        timer.daemon = True
        timer.start()

    # -- end ----------------------------------------------------------------------------------

    def _end(self, pipeline: Pipeline, sink: MqttSink) -> ExitCode:
        self._notifier.stopping()
        if self._stuck is not None:
            return self._leave_stuck(sink, self._stuck)
        timeout_s = self._settings.runtime.shutdown_timeout_s
        # The unit's TimeoutStopSec knows the default only.
        self._notifier.extend_timeout(timeout_s + 5.0)
        _LOG.info("stopping", reason=self._reason(), timeout_s=timeout_s)
        deadline = time.monotonic() + timeout_s
        stuck = pipeline.stop(timeout_s=timeout_s * 0.7)
        undelivered = flush_all((sink,), timeout_s=max(0.5, deadline - time.monotonic()))
        if pipeline.fatal.first is not None:
            # Whatever its kind: it worked at the start, so a fresh start is worth a try, unlike with wrong settings or models.
            where, error = pipeline.fatal.first
            raise FerstreamError(f"{where} failed: {error}") from error
        if stuck:
            _LOG.error("did not end in time", threads=stuck)
            return ExitCode.INTERNAL
        _LOG.info("stopped", events_not_delivered=undelivered, events_in_outbox=sink.outbox.events)
        return ExitCode.BROKER if undelivered else ExitCode.OK

    def _leave_stuck(self, sink: MqttSink, stage: str) -> ExitCode:
        _LOG.critical("leaving, to be started afresh: a stage is stuck", stage=stage)
        flush_all((sink,), timeout_s=STUCK_TIMEOUT_S)
        sink.close()
        os._exit(ExitCode.INTERNAL)

    def _reason(self) -> str:
        if self._signals.received is not None:
            return self._signals.received.name
        return "time is up" if self._seconds else "a stage failed"


def _log_error(stage: str, error: BaseException) -> None:
    _LOG.error("a frame was lost", stage=stage, error=str(error), exc_info=error)
