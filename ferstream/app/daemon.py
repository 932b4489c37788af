"""The daemon: starts all parts in order, waits for signals, commands and fatal errors, and ends the parts in order.

Start: lock, port of the HTTP pages, models, broker, sinks, stages, cameras, HTTP pages (while the cameras connect), ready.
What can fail without a network comes before the sinks, which connect. End: cameras, stages,
sinks, HTTP pages; all within one deadline. The main thread runs everything here.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from ferstream.app.assembly import Engine, encoder, engine, live_mode
from ferstream.app.broker import broker_for
from ferstream.app.cameras import Cameras
from ferstream.app.commands import Commands
from ferstream.app.daemon_lock import daemon_lock
from ferstream.app.factories import camera_plan
from ferstream.app.homeassistant import Births, HomeAssistant, published_topics
from ferstream.app.page_server import page_server
from ferstream.app.reload import reload_settings
from ferstream.app.running import Running
from ferstream.app.schedule import Every
from ferstream.app.signals import Signals, handled
from ferstream.app.sinks import SinkHooks, network_sinks
from ferstream.app.status import heartbeats_of, node_state_of, watchdog_of
from ferstream.app.web import live_page, sample_history
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.domain.ports import Sink
from ferstream.errors import ExitCode, FerstreamError
from ferstream.pipeline.models import Models
from ferstream.pipeline.pipeline import Pipeline
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.runtime.memory import give_back, tune_allocator
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings, state_directory
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics
from ferstream.telemetry.server import TelemetryServer, reserve_port
from ferstream.telemetry.systemd import Notifier
from ferstream.web.history import INTERVAL_S as HISTORY_S

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonTimings:
    """Intervals and time limits of the main thread, in seconds.

    Attributes:
        poll_s: Longest time until a signal or a fatal error is noticed.
        status_s: Interval of the status lines for systemctl.
        give_back_s: Interval at which free memory is returned to the system.
        load_s: Interval at which the load is measured.
        history_s: Interval of the points in the charts of the page.
        abort_s: Time to end the pipeline after an error, and time to save events when a stage is stuck.
        exit_margin_s: Added to the shutdown timeout when systemd is asked for time to stop.
    """

    poll_s: float = 0.25
    status_s: float = 5.0
    give_back_s: float = 60.0
    load_s: float = 1.0
    history_s: float = HISTORY_S
    abort_s: float = 2.0
    exit_margin_s: float = 5.0


class Daemon:
    """Runs cameras until it is stopped; main thread.

    Attributes:
        signals: What the process was asked to do; a program that embeds the daemon may set it too, from any thread.
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
        timings: DaemonTimings | None = None,
        exit_process: Callable[[int], object] = os._exit,
    ) -> None:
        """Prepare; ``run`` does everything.

        Args:
            settings: The settings.
            reload: Reads the settings again at SIGHUP; None ignores SIGHUP.
            seconds: End after this time in seconds; 0 = never.
            durable: Whether the outbox may be on disk.
            on_running: Called once, when everything runs.
            extra_sinks: More sinks, for example to show events on a terminal; opened, flushed and closed with the others.
            timings: Intervals and time limits.
            exit_process: Ends the process at once with an exit code; called when a stage is stuck.
        """
        self._settings, self._reload, self._seconds, self._durable = settings, reload, seconds, durable
        self._on_running, self._extra_sinks = on_running, tuple(extra_sinks)
        self._timings, self._exit_process = timings or DaemonTimings(), exit_process
        self.signals = Signals()
        self._counters, self._fatal = Counters(), Fatal()
        self._notifier = Notifier.from_environment()
        self._commands = Commands(wake=self.signals.wake)
        self._births = Births()
        self._stuck: str | None = None
        self._exit_timers: list[threading.Timer] = []

    def run(self) -> ExitCode:
        """Run to the end; return the exit code.

        Raises:
            FerstreamError: It could not start, or a stage or sink failed for good.
        """
        tune_allocator()
        with handled(self.signals), ExitStack() as stack:
            if self._reload is not None:  # the lock says that SIGHUP does not end this process
                stack.enter_context(daemon_lock(state_directory()))
            running = self._start(stack)
            with self._stopped_on_error(running.pipeline):
                self._notifier.ready(running.status_line())
                _LOG.info(
                    "running",
                    cameras=len(running.cameras.names),
                    model=running.model_label(),
                    metrics=running.server.url if running.server else None,
                    mqtt=running.broker_label(),
                    broker=running.broker_reason() or "connected",
                )
                self._on_running(running)
                self._wait(running)
            return self._end(running)

    # -- start -----------------------------------------------------------------------------------

    def _start(self, stack: ExitStack) -> Running:
        port = self._reserve_port(stack)
        brokers: list[EmbeddedBroker | None] = []

        def outputs(models: Models) -> list[SinkSet]:
            brokers.append(stack.enter_context(broker_for(self._settings, durable=self._durable)))
            return self._outputs(models, brokers[0])

        made = stack.enter_context(engine(self._settings, mode=live_mode(self._settings), make_outputs=outputs, fatal=self._fatal))
        page = None if port is None else live_page(self._settings, observer=self._counters, clock=made.clock)
        pipeline = made.new_pipeline(self._counters, None if page is None else page.feed)
        cameras = self._cameras(made, pipeline)
        running = Running(settings=self._settings, engine=made, pipeline=pipeline, cameras=cameras, broker=brokers[0], page=page)
        pipeline.start()
        with self._stopped_on_error(pipeline):
            running.home_assistant = self._home_assistant(running)
            cameras.start(self._settings.cameras)
            running.server = self._telemetry(running, stack, port)
        return running

    def _home_assistant(self, running: Running) -> HomeAssistant | None:
        """Announce the cameras, and remove what earlier runs announced; None without an MQTT sink."""
        sink = running.find_sink(MqttSink)
        if sink is None:
            return None
        made = HomeAssistant(
            sink,
            self._settings,
            published=published_topics(self._settings, durable=self._durable),
            births=self._births,
            node_state=node_state_of(running),
            clock=running.engine.clock,
        )
        made.apply(self._settings.cameras)
        return made

    def _reserve_port(self, stack: ExitStack) -> socket.socket | None:
        """Bind the port of the HTTP pages; None if they are switched off."""
        if not self._settings.http.enabled:
            return None
        port = reserve_port(self._settings.http.listen)
        stack.callback(port.close)
        return port

    @contextmanager
    def _stopped_on_error(self, pipeline: Pipeline) -> Iterator[None]:
        try:
            yield
        except BaseException:
            pipeline.stop(timeout_s=self._timings.abort_s)
            raise

    def _outputs(self, models: Models, broker: EmbeddedBroker | None) -> list[SinkSet]:
        node = self._settings.node
        topics = Topics(prefix=self._settings.mqtt.prefix, node=node)
        sinks = network_sinks(
            self._settings,
            encoder=encoder(models, node=node, boot_id=secrets.token_hex(8), availability=topics.availability),
            observer=self._counters,
            durable=self._durable,
            broker=broker,
            hooks=SinkHooks(on_command=self._commands.put, on_fatal=self._fatal.report, on_birth=self._births.put),
            extra=self._extra_sinks,
        )
        return [sinks]

    def _cameras(self, made: Engine, pipeline: Pipeline) -> Cameras:
        return Cameras(
            pipeline=pipeline,
            make_plan=partial(camera_plan, width=self._settings.detection.width, observer=self._counters, clock=made.clock),
            set_masks=made.models.set_masks,
            clock=made.clock,
        )

    def _telemetry(self, running: Running, stack: ExitStack, port: socket.socket | None) -> TelemetryServer | None:
        heartbeats = heartbeats_of(running)
        server = None
        if port is not None and running.page is not None:
            server = page_server(running, running.page, heartbeats=heartbeats, commands=self._commands, stack=stack)
            server.start(port)
            stack.callback(server.stop)
            running.page.feed.start()
            stack.callback(running.page.feed.close)  # before the server's stop, which would wait for open streams
        watchdog = watchdog_of(self._settings, heartbeats=heartbeats, notifier=self._notifier, on_stuck=self.abort)
        if watchdog is not None:
            watchdog.start()
            stack.callback(watchdog.stop)
        return server

    # -- while it runs ---------------------------------------------------------------------------

    def _wait(self, running: Running) -> None:
        ends_at = time.monotonic() + self._seconds if self._seconds else float("inf")
        clock, timings = running.engine.clock, self._timings
        jobs = [Every(timings.give_back_s, give_back, clock=clock), Every(timings.load_s, running.load.measure, clock=clock)]
        if running.page is not None:
            jobs.append(Every(timings.history_s, partial(sample_history, running, running.page), clock=clock, at_once=True))
        if running.home_assistant is not None:
            jobs.append(Every(running.home_assistant.timings.tick_s, running.home_assistant.tick, clock=clock, at_once=True))
        if self._notifier.enabled:
            jobs.append(Every(timings.status_s, lambda: self._notifier.status(running.status_line()), clock=clock, at_once=True))
        while not self._is_over() and time.monotonic() < ends_at:
            self.signals.wake.wait(min(timings.poll_s, max(0.0, ends_at - time.monotonic())))
            self.signals.wake.clear()
            if self.signals.take_reload():
                self._reload_settings(running)
            self._commands.run(running.cameras)
            for job in jobs:
                job.run_if_due()

    def _is_over(self) -> bool:
        return self.signals.stop_asked or self._stuck is not None or self._fatal.is_set()

    def _reload_settings(self, running: Running) -> None:
        if self._reload is not None:
            self._notifier.reloading()
            reload_settings(running, self._reload)
            self._notifier.ready(running.status_line())

    def abort(self, stage: str) -> None:
        """End the process without draining, because a stage is stuck; the watchdog calls it. Any thread."""
        # If the main thread is stuck too, this timer ends the process.
        timer = threading.Timer(3 * self._timings.abort_s, partial(self._exit_process, int(ExitCode.INTERNAL)))
        timer.daemon = True
        timer.start()
        self._exit_timers.append(timer)
        self._stuck = stage
        self.signals.wake.set()

    # -- end -------------------------------------------------------------------------------------

    def _end(self, running: Running) -> ExitCode:
        self._notifier.stopping()
        if self._stuck is not None:
            return self._leave_stuck(running.engine, self._stuck)
        timeout_s = running.settings.runtime.shutdown_timeout_s
        # TimeoutStopSec of the unit fits the default of shutdown_timeout_s only.
        self._notifier.extend_timeout(timeout_s + self._timings.exit_margin_s)
        _LOG.info("stopping", reason=self._reason(), timeout_s=timeout_s)
        deadline = time.monotonic() + timeout_s
        stuck = running.pipeline.stop(timeout_s=timeout_s * 0.7)
        lost = _flush_and_close(running.engine, max(0.5, deadline - time.monotonic()))
        if self._fatal.first is not None:
            # Always the general error, whose exit code makes systemd start the daemon again: it worked at the start,
            # so unlike with wrong settings or a missing model a new start can help.
            where, error = self._fatal.first
            raise FerstreamError(f"{where} failed: {error}") from error
        if stuck:
            _LOG.error("did not end in time", threads=stuck)
            return ExitCode.INTERNAL
        _LOG.info("stopped", events_not_delivered=lost, events_in_outbox=running.outbox_events())
        return ExitCode.BROKER if lost else ExitCode.OK

    def _leave_stuck(self, made: Engine, stage: str) -> ExitCode:
        _LOG.critical("a stage is stuck; the process ends, to be restarted", stage=stage)
        _flush_and_close(made, self._timings.abort_s)
        self._exit_process(int(ExitCode.INTERNAL))
        for timer in self._exit_timers:
            timer.cancel()
        return ExitCode.INTERNAL

    def _reason(self) -> str:
        if self.signals.received is not None:
            return self.signals.received.name
        if self._fatal.first is not None:
            return f"{self._fatal.first[0]} failed"
        return "time is up" if self._seconds else "asked to stop"


def _flush_and_close(engine: Engine, timeout_s: float) -> int:
    """Deliver or store what the sinks hold and close them; return how many events are lost, after logging the number."""
    engine.flush(timeout_s)
    for output in engine.outputs:
        output.close()
    lost = engine.unsaved_events()
    if lost:
        reasons = {output.outbox.degraded or "in memory only" for output in engine.outputs if output.outbox is not None}
        _LOG.error("events are lost: they are neither delivered nor on disk", events=lost, outbox="; ".join(sorted(reasons)))
    return lost
