"""How the daemon reports its state: metrics, health, readiness, the watchdog. The HTTP server's thread reads."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ferstream import __version__
from ferstream.app.cameras import ENDED
from ferstream.app.running import Running
from ferstream.domain.event import CameraStatus
from ferstream.events.node import NodeState
from ferstream.inference.memory import accelerator_memory_bytes
from ferstream.pipeline.overload import Load
from ferstream.settings import Settings
from ferstream.telemetry.access_policy import Access, access_to
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.health import Check, Heartbeats, Report, camera_check, readiness
from ferstream.telemetry.path_rules import PathRule
from ferstream.telemetry.readings import BuildInfo, CameraLoadReading, LoadReading, OutboxReading, QueueReading, Readings, SinkReading
from ferstream.telemetry.server import TelemetryServer
from ferstream.telemetry.systemd import Notifier, watchdog_timeout_s
from ferstream.telemetry.watchdog import Watchdog

DEFAULT_STUCK_AFTER_S = 30.0
"""Limit of a heartbeat's age in seconds while ``watchdog.stuck_after_s`` is 0."""
LONGEST_INTERVAL_S = 20.0
"""Longest time between two checks of the watchdog, in seconds."""


def telemetry_server(
    running: Running, *, heartbeats: Heartbeats, access: Access | None = None, routes: Sequence[Any] = ()
) -> TelemetryServer:
    """Make the HTTP server with all its pages; it is not started.

    Args:
        running: The daemon.
        heartbeats: Behind ``/healthz``.
        access: Who may use the pages; by default what the settings say.
        routes: Starlette's routes of more pages.

    Raises:
        ConfigError: The address is malformed, or open to the network without a token.
    """
    return TelemetryServer(
        listen=running.settings.http.listen,
        registry=build_registry(readings_of(running)),
        health=heartbeats.report,
        ready=readiness_of(running),
        access=access or access_of(running.settings),
        title=running.settings.node,
        routes=routes,
    )


def access_of(settings: Settings, paths: Iterable[PathRule] = ()) -> Access:
    """Return who may use the pages of a daemon.

    Args:
        settings: The settings.
        paths: What is special at single paths.

    Raises:
        ConfigError: The address is open to the network without a token, or the token is poor.
    """
    http = settings.http
    return access_to(
        http.listen,
        token=None if http.token is None else http.token.get_secret_value(),
        names=(socket.gethostname(), settings.node),
        allowed_hosts=http.allowed_hosts,
        paths=paths,
    )


def readings_of(running: Running) -> Readings:
    """Return the functions that read the values of ``/metrics``."""
    classifier = running.engine.models.classifier
    return Readings(
        snapshot=running.pipeline.counters.snapshot,
        cameras=lambda: running.cameras.names,
        expected_down=lambda: expected_down(running),
        build=lambda: BuildInfo(__version__, f"{classifier.name}/{classifier.version}", classifier.backend),
        queues=lambda: _queues(running),
        load=lambda: _load(running),
        outbox=lambda: _outbox(running),
        sinks=lambda: list(_sinks(running)),
        mqtt_connected=lambda: _connected(running, "mqtt"),
        viewers=lambda: None if running.page is None else running.page.viewers,
        gpu_memory_bytes=lambda: accelerator_memory_bytes(classifier.backend),
    )


def readiness_of(running: Running) -> Callable[[], Report]:
    """Return the function behind ``/readyz``: models loaded, a camera up, no overload, broker connected, outbox on its disk."""
    classifier = running.engine.models.classifier
    return readiness(
        (
            lambda: Check("models", True, f"{classifier.name}/{classifier.version} on {classifier.backend}"),
            lambda: camera_check(_wanted_cameras(running)),
            lambda: load_check(running.load.load),
            lambda: _broker_check(running),
            lambda: _outbox_check(running),
        )
    )


def node_state_of(running: Running) -> Callable[[], NodeState]:
    """Return the function that reads the state of the node, which ``HomeAssistant`` publishes."""
    started_ns, rate = running.engine.clock.utc_ns(), running.frame_rate()
    classifier = running.engine.models.classifier

    def read() -> NodeState:
        up = running.pipeline.counters.snapshot().cameras_up
        names = running.cameras.names
        return NodeState(
            node=running.settings.node,
            version=__version__,
            model=f"{classifier.name}/{classifier.version}",
            backend=classifier.backend,
            started_ns=started_ns,
            cameras=len(names),
            cameras_online=sum(up.get(name, False) for name in names),
            fps=rate.since_last_call(),
            outbox_events=running.outbox_events(),
            outbox_problem=(running.outbox.degraded or "") if running.outbox is not None else "",
            overloaded=running.load.load.overloaded,
        )

    return read


def heartbeats_of(running: Running) -> Heartbeats:
    """Make what finds stages that make no progress."""
    limit_s = running.settings.watchdog.stuck_after_s or DEFAULT_STUCK_AFTER_S
    counters = running.pipeline.counters
    return Heartbeats(beats=lambda: counters.snapshot().beats, stale_after_s=limit_s, clock=running.engine.clock)


def watchdog_of(settings: Settings, *, heartbeats: Heartbeats, notifier: Notifier, on_stuck: Callable[[str], object]) -> Watchdog | None:
    """Make the watchdog; None when it is switched off and systemd does not ask for one."""
    interval_s = watchdog_interval_s(stuck_after_s=settings.watchdog.stuck_after_s, systemd_s=watchdog_timeout_s())
    if interval_s is None:
        return None
    return Watchdog(heartbeats=heartbeats, interval_s=interval_s, on_alive=notifier.watchdog, on_stuck=on_stuck)


def watchdog_interval_s(*, stuck_after_s: float, systemd_s: float | None) -> float | None:
    """Return the seconds between two checks of the watchdog; None without a watchdog.

    Args:
        stuck_after_s: ``watchdog.stuck_after_s`` of the settings, 0 = off.
        systemd_s: Limit of systemd's watchdog in seconds; None without one.
    """
    if not stuck_after_s and systemd_s is None:
        return None
    return min((stuck_after_s or DEFAULT_STUCK_AFTER_S) / 4, LONGEST_INTERVAL_S if systemd_s is None else systemd_s / 3)


def expected_down(running: Running) -> set[str]:
    """Return the cameras that should deliver nothing now: disabled, stopped, or at the end of their recording."""
    states = running.pipeline.cameras.states().items()
    return {name for name, state in states if state.status is CameraStatus.DISABLED or state.reason in ENDED}


def _wanted_cameras(running: Running) -> dict[str, bool]:
    down, up = expected_down(running), running.pipeline.counters.snapshot().cameras_up
    return {name: up.get(name, False) for name in running.cameras.names if name not in down}


def _connected(running: Running, name: str) -> bool | None:
    status = running.sink(name)
    return None if status is None else status.connected


def _broker_check(running: Running) -> Check:
    return Check("broker", bool(_connected(running, "mqtt")), running.broker_reason())


def _outbox_check(running: Running) -> Check:
    degraded = running.outbox.degraded if running.outbox is not None else None
    return Check("outbox", degraded is None, degraded or "")


def load_check(load: Load) -> Check:
    """Return a check that always passes, and is degraded during an overload: the daemon works, and a restart would not help."""
    detail = f"{load.served_fps:.1f} of {load.wanted_fps:.1f} frames/s analysed" if load.cameras else ""
    return Check("load", ok=True, detail=detail, degraded=load.overloaded)


def _load(running: Running) -> LoadReading:
    load = running.load.load
    cameras = {name: CameraLoadReading(camera.wanted_fps, camera.served_ratio) for name, camera in load.cameras.items()}
    return LoadReading(load.overloaded, cameras)


def _queues(running: Running) -> Mapping[str, QueueReading]:
    return {stage: QueueReading(items, capacity) for stage, (items, capacity) in running.pipeline.queues().items()}


def _outbox(running: Running) -> OutboxReading | None:
    outbox = running.outbox
    if outbox is None:
        return None
    return OutboxReading(outbox.events, outbox.size_bytes, outbox.max_events, outbox.max_bytes, outbox.degraded is not None)


def _sinks(running: Running) -> Iterator[SinkReading]:
    for output in running.engine.outputs:
        readers = {reader.name: reader.counts() for reader in output.outbox.readers} if output.outbox is not None else {}
        for status in output.statuses():
            counts = readers.get(status.name)
            if counts is None:
                yield SinkReading(status.name, status.connected)
            else:
                yield SinkReading(status.name, status.connected, counts.events, counts.acknowledged, counts.dropped)
