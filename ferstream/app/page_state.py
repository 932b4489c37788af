"""The state of the daemon as ``/api/1/state`` shows it. The HTTP server's thread reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ferstream import __version__
from ferstream.app.running import Running
from ferstream.app.status import readings_of
from ferstream.domain.emotion import LABELS
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.events.encode import iso_utc, state_fields
from ferstream.runtime.counters import Snapshot
from ferstream.telemetry.health import Report
from ferstream.telemetry.readings import Scrape, SinkReading
from ferstream.web.page import LivePage

Json = dict[str, Any]

API = 1
"""Version of the API; keys are only added within it."""


class PageState:
    """Reads the state of a running daemon."""

    def __init__(
        self, running: Running, *, page: LivePage, ready: Callable[[], Report], fixed: Mapping[str, Any], uploads: Callable[[], Json]
    ) -> None:
        """Keep the parts.

        Args:
            running: The daemon.
            page: Knows what the cameras show, and the last minutes.
            ready: Returns the report of ``/readyz``.
            fixed: What does not change while the daemon runs: ``commands``, ``login``.
            uploads: Returns what a page needs to know about uploads.
        """
        self._running, self._ready, self._fixed, self._uploads = running, ready, dict(fixed), uploads
        self._feed, self._history = page.feed, page.history
        self._readings = readings_of(running)
        self._started_ns = running.engine.clock.monotonic_ns()

    def as_json(self) -> Json:
        """Return the state as the API documents it."""
        scrape, clock, running = self._readings.read(), self._running.engine.clock, self._running
        return {
            "api": API,
            "node": running.settings.node,
            "version": __version__,
            "time": iso_utc(clock.utc_ns()),
            "uptime_s": round((clock.monotonic_ns() - self._started_ns) / 1e9, 1),
            "pixels": self._feed.pixels,
            "aggregate_only": self._feed.aggregate_only,
            **self._fixed,
            "uploads": self._uploads(),
            "labels": list(LABELS),
            "model": self._model(),
            "ready": _ready(self._ready()),
            "cameras": list(self._cameras(scrape)),
            "latency_ms": self._history.latency_ms(),
            "queues": [{"stage": name, "items": queue.items, "capacity": queue.capacity} for name, queue in scrape.queues.items()],
            "outbox": self._outbox(scrape),
            "sinks": [self._sink(sink) for sink in scrape.sinks],
            "history": self._history.as_json(),
        }

    def _model(self) -> Json:
        classifier = self._running.engine.models.classifier
        return {"name": classifier.name, "version": classifier.version, "backend": classifier.backend}

    def _cameras(self, scrape: Scrape) -> Iterator[Json]:
        states = self._running.pipeline.cameras.states()
        for name in self._running.cameras.names:
            view, state = self._feed.view(name), states.get(name)
            width, height = view.size or (None, None)
            yield {
                "name": name,
                "enabled": state is None or state.status is not CameraStatus.DISABLED,
                **_state(state),
                "width": width,
                "height": height,
                "frames": _frames(scrape.snapshot, name),
                "dropped": _dropped(scrape.snapshot, name),
                "faces_now": view.faces_now if state is not None and state.status is CameraStatus.ONLINE else None,
            }

    def _outbox(self, scrape: Scrape) -> Json | None:
        outbox, reading = self._running.outbox, scrape.outbox
        if outbox is None or reading is None:
            return None
        waiting = [counts.oldest_ns for reader in outbox.readers if (counts := reader.counts()).oldest_ns is not None]
        # An event of an earlier process has no time; it is at least as old as this one.
        oldest_ns = max(self._started_ns, min(waiting)) if waiting else self._running.engine.clock.monotonic_ns()
        return {
            "events": reading.events,
            "bytes": reading.bytes,
            "oldest_s": round(max(0, self._running.engine.clock.monotonic_ns() - oldest_ns) / 1e9, 1),
            "on_disk": outbox.durable and outbox.degraded is None,
        }

    def _sink(self, sink: SinkReading) -> Json:
        status = self._running.sink(sink.name)
        return {
            "name": sink.name,
            "connected": sink.connected,
            "reason": status.reason if status is not None else "",
            "waiting": sink.events,
            "acknowledged": sink.acknowledged,
            "dropped": sum(sink.dropped.values()),
        }


def _ready(report: Report) -> Json:
    checks = [{"name": check.name, "ok": check.ok, "degraded": check.degraded, "detail": check.detail} for check in report.checks]
    return {"ok": report.ok, "checks": checks}


def _state(state: CameraState | None) -> Json:
    if state is None:  # for the moment between two connections of the settings' reload
        return {"status": CameraStatus.CONNECTING.value, "reason": "", "since": None, "fps": 0.0}
    return state_fields(state)


def _frames(snapshot: Snapshot, camera: str) -> Json:
    stages = {"captured": "capture", "analysed": "detection", "published": "publishing"}
    return {name: snapshot.frames.get((camera, stage), 0) for name, stage in stages.items()}


def _dropped(snapshot: Snapshot, camera: str) -> list[Json]:
    found = sorted((stage, reason, count) for (name, stage, reason), count in snapshot.dropped.items() if name == camera)
    return [{"stage": stage, "reason": reason, "count": count} for stage, reason, count in found]
