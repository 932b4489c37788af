"""The daemon: everything started in order, watched, and ended in order.

Start: networks, broker, sinks, stages, cameras, HTTP pages while the cameras connect, ready. End: cameras,
stages drain, sinks flush, telemetry last, all within one deadline.
The main thread only waits for signals, commands and the first fatal error.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import structlog

from ferstream.app.assembly import Engine, encoder, engine, live_mode
from ferstream.app.broker import broker_for, broker_url
from ferstream.app.cameras import Cameras
from ferstream.app.running import Running
from ferstream.app.signals import Signals, handled
from ferstream.app.sinks import SinkHooks, network_sinks
from ferstream.app.status import heartbeats_of, telemetry_server, watchdog_of
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.domain.ports import Sink
from ferstream.errors import ConfigError, ExitCode, FerstreamError
from ferstream.logs import set_level
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.runtime.memory import give_back, tune_allocator
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings, diff
from ferstream.telemetry.server import TelemetryServer
from ferstream.telemetry.systemd import Notifier

POLL_S = 0.25
"""Longest time until the main thread notices a fatal error."""
STATUS_S = 5.0
"""Seconds between two status lines for systemctl."""
GIVE_BACK_S = 60.0
"""Seconds between two times that free memory is returned to the system."""
STUCK_TIMEOUT_S = 2.0
"""Seconds to save events when a stage is stuck; nothing is drained then."""

_LOG = structlog.get_logger(__name__)


class Daemon:
    """Runs cameras until it is stopped; main thread."""

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
        """Prepare; ``run`` does everything.

        Args:
            settings: What to run.
            reload: Reads the settings again at SIGHUP; None ignores it.
            seconds: End after so many seconds; 0 = never.
            durable: Keep the outbox on disk.
            on_running: Called once, when everything runs.
            extra_sinks: Take the messages too, for example to show them on a terminal; opened, flushed and closed with the others.
        """
        self._settings, self._reload, self._seconds, self._durable = settings, reload, seconds, durable
        self._on_running, self._extra_sinks = on_running, tuple(extra_sinks)
        self._counters, self._signals, self._fatal = Counters(), Signals(), Fatal()
        self._notifier = Notifier.from_environment()
        self._commands: deque[tuple[str, bytes]] = deque(maxlen=1000)
        self._stuck: str | None = None

    def run(self) -> ExitCode:
        """Run to the end; return how it ended.

        Raises:
            FerstreamError: It could not start, or a stage failed for good.
        """
        tune_allocator()
        with handled(self._signals), ExitStack() as stack:
            running = self._start(stack)
            self._notifier.ready(running.status_line())
            _LOG.info(
                "running",
                cameras=len(running.cameras.names),
                metrics=running.server.url if running.server else None,
                mqtt=running.broker_label(),
                broker=running.broker_reason() or "connected",
            )
            self._on_running(running)
            self._wait(running)
            return self._end(running)

    # -- start -----------------------------------------------------------------------------------

    def _start(self, stack: ExitStack) -> Running:
        brokers: list[EmbeddedBroker | None] = []

        def outputs(models: Models) -> list[SinkSet]:
            brokers.append(stack.enter_context(broker_for(self._settings.mqtt)))
            return self._outputs(models, brokers[0])

        made = stack.enter_context(engine(self._settings, mode=live_mode(self._settings), make_outputs=outputs, fatal=self._fatal))
        pipeline = made.new_pipeline(self._counters, on_error=_log_error)
        cameras = Cameras(pipeline=pipeline, models=made.models, width=self._settings.detection.width, clock=made.clock)
        pipeline.start()
        cameras.start(self._settings.cameras)
        running = Running(settings=self._settings, engine=made, pipeline=pipeline, cameras=cameras, broker=brokers[0])
        try:
            running.server = self._telemetry(running, stack)
        except BaseException:  # a port that is taken ends everything again
            pipeline.stop(timeout_s=STUCK_TIMEOUT_S)
            raise
        return running

    def _outputs(self, models: Models, broker: EmbeddedBroker | None) -> list[SinkSet]:
        sinks = network_sinks(
            self._settings,
            encoder=encoder(models, node=self._settings.node, boot_id=secrets.token_hex(8)),
            observer=self._counters,
            durable=self._durable,
            broker_url=broker_url(self._settings, broker),
            hooks=SinkHooks(on_command=self._on_command, on_fatal=self._fatal.report),
            extra=self._extra_sinks,
        )
        return [sinks]

    def _telemetry(self, running: Running, stack: ExitStack) -> TelemetryServer | None:
        heartbeats = heartbeats_of(running)
        server = None
        if self._settings.http.enabled:
            server = telemetry_server(running, heartbeats=heartbeats)
            server.start()
            stack.callback(server.stop)
        watchdog = watchdog_of(self._settings, heartbeats=heartbeats, notifier=self._notifier, on_stuck=self._on_stuck)
        if watchdog is not None:
            watchdog.start()
            stack.callback(watchdog.stop)
        return server

    # -- while it runs ---------------------------------------------------------------------------

    def _wait(self, running: Running) -> None:
        ends_at = time.monotonic() + self._seconds if self._seconds else float("inf")
        next_status = time.monotonic()
        next_return = next_status + GIVE_BACK_S
        while not self._is_over() and time.monotonic() < ends_at:
            self._signals.wake.wait(min(POLL_S, max(0.0, ends_at - time.monotonic())))
            self._signals.wake.clear()
            if self._signals.take_reload():
                self._reload_settings(running)
            self._handle_commands(running)
            if self._notifier.enabled and time.monotonic() >= next_status:
                next_status = time.monotonic() + STATUS_S
                self._notifier.status(running.status_line())
            if time.monotonic() >= next_return:
                next_return = time.monotonic() + GIVE_BACK_S
                give_back()

    def _is_over(self) -> bool:
        return self._signals.stop_asked or self._stuck is not None or self._fatal.is_set()

    def _on_command(self, camera: str, payload: bytes) -> None:
        self._commands.append((camera, payload))
        self._signals.wake.set()

    def _handle_commands(self, running: Running) -> None:
        while self._commands:
            camera, payload = self._commands.popleft()
            text = payload.strip().upper()
            if text in {b"ON", b"OFF"}:
                running.cameras.switch(camera, on=text == b"ON")
            else:
                _LOG.warning("a command is neither ON nor OFF", camera=camera, length=len(payload))

    def _reload_settings(self, running: Running) -> None:
        if self._reload is None:
            return
        self._notifier.reloading()
        try:
            new = self._reload()
        except ConfigError as exc:
            _LOG.error("the new settings are not valid; the old ones stay in force", reason=str(exc))
        else:
            self._apply(new, running)
        self._notifier.ready(running.status_line())

    def _apply(self, new: Settings, running: Running) -> None:
        changes = diff(self._settings, new)
        for camera in changes.added:
            running.remember_camera(camera.name)  # before it reports a state: states of a forgotten camera are not retained
        running.cameras.apply(changes)
        for name in changes.removed:
            running.forget_camera(name)
        if "log.level" in changes.live:
            set_level(new.log.level)
        if changes.restart:
            _LOG.warning("these settings need a restart", keys=", ".join(changes.restart))
        self._settings = running.settings = new
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

    # -- end -------------------------------------------------------------------------------------

    def _end(self, running: Running) -> ExitCode:
        self._notifier.stopping()
        if self._stuck is not None:
            return self._leave_stuck(running.engine, self._stuck)
        timeout_s = self._settings.runtime.shutdown_timeout_s
        # The unit's TimeoutStopSec knows the default only.
        self._notifier.extend_timeout(timeout_s + 5.0)
        _LOG.info("stopping", reason=self._reason(), timeout_s=timeout_s)
        deadline = time.monotonic() + timeout_s
        stuck = running.pipeline.stop(timeout_s=timeout_s * 0.7)
        undelivered = running.engine.flush(max(0.5, deadline - time.monotonic()))
        if self._fatal.first is not None:
            # Whatever its kind: it worked at the start, so a fresh start is worth a try, unlike with wrong settings or models.
            where, error = self._fatal.first
            raise FerstreamError(f"{where} failed: {error}") from error
        if stuck:
            _LOG.error("did not end in time", threads=stuck)
            return ExitCode.INTERNAL
        _LOG.info("stopped", events_not_delivered=undelivered, events_in_outbox=running.outbox_events())
        return ExitCode.BROKER if undelivered else ExitCode.OK

    def _leave_stuck(self, engine: Engine, stage: str) -> ExitCode:
        _LOG.critical("a stage is stuck; the process ends, to be restarted", stage=stage)
        engine.flush(STUCK_TIMEOUT_S)
        for output in engine.outputs:
            output.close()
        os._exit(ExitCode.INTERNAL)

    def _reason(self) -> str:
        if self._signals.received is not None:
            return self._signals.received.name
        return "time is up" if self._seconds else "a stage failed"


def _log_error(stage: str, error: BaseException) -> None:
    _LOG.error("a frame was lost", stage=stage, error=str(error), exc_info=error)
