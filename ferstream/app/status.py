"""What the daemon says of itself: metrics, health, readiness, the watchdog and systemd."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ferstream import __version__
from ferstream.app.cameras import ENDED, Cameras
from ferstream.domain.event import CameraStatus
from ferstream.inference.memory import accelerator_memory_bytes
from ferstream.pipeline.models import Models
from ferstream.pipeline.pipeline import Pipeline
from ferstream.settings import Settings
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.health import Check, Heartbeats, camera_check, readiness
from ferstream.telemetry.readings import BuildInfo, OutboxReading, QueueReading, Readings
from ferstream.telemetry.server import TelemetryServer
from ferstream.telemetry.systemd import Notifier, watchdog_timeout_s
from ferstream.telemetry.watchdog import Watchdog

DEFAULT_STUCK_AFTER_S = 30.0


def telemetry_server(
    settings: Settings, *, pipeline: Pipeline, cameras: Cameras, models: Models, sink: MqttSink, heartbeats: Heartbeats
) -> TelemetryServer:
    """Make the HTTP server with everything it shows; not started.

    Raises:
        ConfigError: The address is malformed, or open to others without a token.
    """
    classifier = models.classifier
    registry = build_registry(
        Readings(
            snapshot=pipeline.counters.snapshot,
            cameras=lambda: cameras.names,
            expected_down=lambda: _expected_down(pipeline),
            build=lambda: BuildInfo(__version__, f"{classifier.name}/{classifier.version}", classifier.backend),
            queues=lambda: _queues(pipeline),
            outbox=lambda: _outbox(sink),
            mqtt_connected=lambda: sink.connected,
            gpu_memory_bytes=lambda: accelerator_memory_bytes(classifier.backend),
        )
    )
    token = settings.http.token
    return TelemetryServer(
        listen=settings.http.listen,
        registry=registry,
        health=heartbeats.report,
        ready=readiness(
            (
                lambda: Check("models", True, f"{classifier.name}/{classifier.version} on {classifier.backend}"),
                lambda: camera_check(_wanted_cameras(pipeline, cameras)),
                lambda: Check("broker", sink.connected, sink.reason),
                lambda: Check("outbox", sink.outbox.degraded is None, sink.outbox.degraded or ""),
            )
        ),
        token=None if token is None else token.get_secret_value(),
        title=settings.node,
    )


def heartbeats_of(settings: Settings, pipeline: Pipeline) -> Heartbeats:
    """Make what tells fresh stages from stuck ones."""
    limit_s = settings.watchdog.stuck_after_s or DEFAULT_STUCK_AFTER_S
    return Heartbeats(beats=lambda: pipeline.counters.snapshot().beats, stale_after_s=limit_s)


def watchdog_of(settings: Settings, *, heartbeats: Heartbeats, notifier: Notifier, on_stuck: Callable[[str], object]) -> Watchdog | None:
    """Make the watchdog; None when it is switched off and systemd does not ask for one."""
    limit_s = settings.watchdog.stuck_after_s
    systemd_s = watchdog_timeout_s()
    if not limit_s and systemd_s is None:
        return None
    interval_s = min((limit_s or DEFAULT_STUCK_AFTER_S) / 4, (systemd_s or 60.0) / 3)
    return Watchdog(heartbeats=heartbeats, interval_s=interval_s, on_alive=notifier.watchdog, on_stuck=on_stuck)


def status_line(pipeline: Pipeline, sink: MqttSink, fps: float) -> str:
    """One line for ``systemctl status``."""
    snapshot = pipeline.counters.snapshot()
    names = pipeline.cameras
    up = sum(snapshot.cameras_up.get(name, False) for name in names)
    waiting = sum(items for items, _ in pipeline.queues().values())
    broker = "connected" if sink.connected else f"not connected ({sink.reason})"
    return f"{fps:.1f} fps, {up} of {len(names)} cameras up, {waiting} queued, broker {broker}, outbox {sink.outbox.events}"


def _expected_down(pipeline: Pipeline) -> set[str]:
    states = pipeline.camera_states().items()
    return {name for name, state in states if state.status is CameraStatus.DISABLED or state.reason in ENDED}


def _wanted_cameras(pipeline: Pipeline, cameras: Cameras) -> dict[str, bool]:
    expected_down, up = _expected_down(pipeline), pipeline.counters.snapshot().cameras_up
    return {name: up.get(name, False) for name in cameras.names if name not in expected_down}


def _queues(pipeline: Pipeline) -> Mapping[str, QueueReading]:
    return {stage: QueueReading(items, capacity) for stage, (items, capacity) in pipeline.queues().items()}


def _outbox(sink: MqttSink) -> OutboxReading:
    outbox = sink.outbox
    return OutboxReading(outbox.events, outbox.size_bytes, outbox.max_events, outbox.max_bytes, outbox.degraded is not None)
