"""Every metric: name, type, help, labels, and how its values are taken from a scrape; docs/metrics.md explains each.

A new metric is one entry of ``CATALOGUE``; if nothing counts it yet, also a field of ``Snapshot`` or of ``Readings``.
Rules: base units; ``_total`` on counters; timestamps instead of ages; labels from small fixed sets; every series of a
configured camera exists at 0 from the first scrape, so that ``rate()`` and ``absent()`` work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeVar

from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.runtime.counters import DURATION_BUCKETS_S, LATENCY_BUCKETS_S, HistogramValue
from ferstream.telemetry.readings import CameraLoadReading, OutboxReading, Scrape, SinkReading

STAGES = ("capture", "detection", "tracking", "inference", "publishing")
"""Stages that work on items: the stage label of durations."""
FRAME_STAGES = ("decode", *STAGES)
"""Stages that a frame leaves."""
DROP_REASONS: dict[str, tuple[str, ...]] = {
    "decode": ("damaged",),
    "capture": ("overflow", "error", "shutdown"),
    "detection": ("stale", "error", "shutdown"),
    "tracking": ("error", "shutdown"),
    "inference": ("stale", "error", "shutdown"),
    "publishing": ("error", "shutdown"),
}
"""Why a frame can be dropped, by stage."""
FACE_OUTCOMES = ("classified", "skipped", "dropped")
"""What can become of a face that was found."""
EMOTIONS = (*LABELS, UNKNOWN)
"""Labels of an event."""
RECONNECT_REASONS = ("error", "authentication", "timeout", "format", "redirect", "stalled", "frozen", "internal")
"""What can end a connection to a camera."""
PUBLISH_RESULTS = ("acknowledged", "rejected", "resent")
"""What can become of a message handed to the broker."""
LIVE_MESSAGES = ("hello", "frame", "camera", "summary")
"""Kinds of messages to the viewers of the live page."""
OUTBOX_DROP_REASONS = ("max_events", "max_bytes", "rejected", "refused", "invalid", "corrupt", "privacy", "no_sink")
"""Why the outbox can drop an event."""

Kind = Literal["counter", "gauge", "histogram"]
Values = Mapping[tuple[str, ...], float | HistogramValue]
"""Value of each series, by its label values."""
LabelValues = TypeVar("LabelValues", bound=tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family.

    Attributes:
        name: Name as a query uses it, with ``_total`` for a counter.
        kind: Prometheus type.
        help: One sentence for the scrape.
        labels: Names of the labels.
        read: Takes the values of all series from a scrape; numbers, or ``HistogramValue`` for a histogram.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Scrape], Values]


def _over(zeros: Mapping[tuple[str, ...], float], values: Mapping[LabelValues, float]) -> dict[tuple[str, ...], float]:
    """Return the values, and 0 for every series of ``zeros`` that has none."""
    return {**zeros, **{labels: float(value) for labels, value in values.items()}}


def _zeros(*labels: Iterable[str]) -> dict[tuple[str, ...], float]:
    """Return 0 for every combination of label values."""
    return dict.fromkeys(product(*labels), 0.0)


def _by_one(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    """Return the values by a tuple of their one label."""
    return {(label,): float(value) for label, value in values.items()}


def _single(value: float | None) -> dict[tuple[str, ...], float]:
    """Return the value of a metric without labels; no series for None."""
    return {} if value is None else {(): float(value)}


def _dropped(scrape: Scrape) -> Values:
    zeros: dict[tuple[str, ...], float] = {
        (camera, stage, why): 0.0 for camera in scrape.cameras for stage, reasons in DROP_REASONS.items() for why in reasons
    }
    return _over(zeros, scrape.snapshot.dropped)


def _faces_found(scrape: Scrape) -> Values:
    found = {camera: n for (camera, outcome), n in scrape.snapshot.faces.items() if outcome == "found"}
    return _zeros(scrape.cameras) | _by_one(found)


def _face_outcomes(scrape: Scrape) -> Values:
    outcomes = {key: n for key, n in scrape.snapshot.faces.items() if key[1] != "found"}
    return _over(_zeros(scrape.cameras, FACE_OUTCOMES), outcomes)


def _durations(scrape: Scrape) -> Values:
    values = dict.fromkeys(STAGES, _empty_histogram(DURATION_BUCKETS_S)) | dict(scrape.snapshot.durations)
    return {(stage,): value for stage, value in values.items()}


def _latencies(scrape: Scrape) -> Values:
    values = dict.fromkeys(scrape.cameras, _empty_histogram(LATENCY_BUCKETS_S)) | dict(scrape.snapshot.latencies)
    return {(camera,): value for camera, value in values.items()}


def _empty_histogram(bounds: tuple[float, ...]) -> HistogramValue:
    return HistogramValue(bounds, (0,) * (len(bounds) + 1), 0.0)


def _of_cameras(read: Callable[[Scrape, str], float]) -> Callable[[Scrape], Values]:
    """Read one number per configured camera. A camera removed by a reload has none: it keeps its counters, but is not down."""
    return lambda scrape: {(camera,): float(read(scrape, camera)) for camera in scrape.cameras}


def _of_outbox(read: Callable[[OutboxReading], float]) -> Callable[[Scrape], Values]:
    """Read one number of the outbox; no series without an outbox."""
    return lambda scrape: {} if scrape.outbox is None else _single(read(scrape.outbox))


def _of_sinks(read: Callable[[SinkReading], float | None]) -> Callable[[Scrape], Values]:
    """Read one number of each sink; no series for a sink that has none."""
    return lambda scrape: _by_one({sink.name: value for sink in scrape.sinks if (value := read(sink)) is not None})


def _sink_dropped(scrape: Scrape) -> Values:
    readers = [sink for sink in scrape.sinks if sink.events is not None]
    zeros = _zeros([sink.name for sink in readers], OUTBOX_DROP_REASONS)
    return _over(zeros, {(sink.name, reason): count for sink in readers for reason, count in sink.dropped.items()})


def _of_load(read: Callable[[CameraLoadReading], float]) -> Callable[[Scrape], Values]:
    """Read one number of each camera whose load is measured."""
    return lambda scrape: {} if scrape.load is None else _by_one({name: read(camera) for name, camera in scrape.load.cameras.items()})


_NO_INCIDENTS = ("mqtt_publish", "outbox_dropped", "left_events", "live_messages", "live_frames_skipped")
"""Names of ``Snapshot.counts`` that have a metric of their own or are for the summary of a replay; all others are incidents."""


def _counts(name: str, labels: Iterable[str]) -> Callable[[Scrape], Values]:
    """Read one of ``Snapshot.counts``, by its label."""

    def read(scrape: Scrape) -> Values:
        return _zeros(labels) | _by_one({label: n for (kind, label), n in scrape.snapshot.counts.items() if kind == name})

    return read


def _incidents(scrape: Scrape) -> Values:
    return {key: float(n) for key, n in scrape.snapshot.counts.items() if key[0] not in _NO_INCIDENTS}


CATALOGUE: tuple[Metric, ...] = (
    Metric(
        "ferstream_frames_total",
        "counter",
        "Frames that left a stage.",
        ("camera", "stage"),
        lambda scrape: _over(_zeros(scrape.cameras, FRAME_STAGES), scrape.snapshot.frames),
    ),
    Metric(
        "ferstream_frames_dropped_total",
        "counter",
        "Frames that ended before publishing, by where and why.",
        ("camera", "stage", "reason"),
        _dropped,
    ),
    Metric("ferstream_faces_total", "counter", "Faces found by the detector.", ("camera",), _faces_found),
    Metric(
        "ferstream_face_outcomes_total",
        "counter",
        "What became of the faces found: classified, skipped or dropped.",
        ("camera", "outcome"),
        _face_outcomes,
    ),
    Metric("ferstream_stage_duration_seconds", "histogram", "Work per item of a stage, waiting excluded.", ("stage",), _durations),
    Metric(
        "ferstream_capture_to_publish_seconds",
        "histogram",
        "Time from capture to the hand-over to the sinks, live cameras only.",
        ("camera",),
        _latencies,
    ),
    Metric("ferstream_batch_faces", "histogram", "Faces in one batch of the classifier.", (), lambda scrape: {(): scrape.snapshot.batches}),
    Metric(
        "ferstream_queue_items",
        "gauge",
        "Items waiting in front of a stage.",
        ("stage",),
        lambda scrape: _by_one({stage: queue.items for stage, queue in scrape.queues.items()}),
    ),
    Metric(
        "ferstream_queue_capacity_items",
        "gauge",
        "Items that fit in front of a stage.",
        ("stage",),
        lambda scrape: _by_one({stage: queue.capacity for stage, queue in scrape.queues.items()}),
    ),
    Metric(
        "ferstream_camera_up",
        "gauge",
        "1 while the camera delivers frames, else 0.",
        ("camera",),
        _of_cameras(lambda scrape, camera: scrape.snapshot.cameras_up.get(camera, False)),
    ),
    Metric(
        "ferstream_camera_enabled",
        "gauge",
        "0 while the camera is switched off or its recording is over, else 1.",
        ("camera",),
        _of_cameras(lambda scrape, camera: camera not in scrape.expected_down),
    ),
    Metric(
        "ferstream_camera_last_frame_timestamp_seconds",
        "gauge",
        "Unix time of the last frame captured, 0 before the first.",
        ("camera",),
        _of_cameras(lambda scrape, camera: scrape.snapshot.last_frame.get(camera, 0.0)),
    ),
    Metric(
        "ferstream_overloaded",
        "gauge",
        "1 while the live cameras ask for more frames than are analysed, else 0.",
        (),
        lambda scrape: _single(None if scrape.load is None else scrape.load.overloaded),
    ),
    Metric(
        "ferstream_camera_wanted_fps",
        "gauge",
        "Frames per second that the camera asks to be analysed; only live cameras that deliver frames.",
        ("camera",),
        _of_load(lambda camera: camera.wanted_fps),
    ),
    Metric(
        "ferstream_camera_served_ratio",
        "gauge",
        "Share of the wanted frames that was analysed over the last seconds, 0 to 1; only live cameras that deliver frames.",
        ("camera",),
        _of_load(lambda camera: camera.served_ratio),
    ),
    Metric(
        "ferstream_camera_reconnects_total",
        "counter",
        "Connection attempts after the first, by what ended the last one.",
        ("camera", "reason"),
        lambda scrape: _over(_zeros(scrape.cameras, RECONNECT_REASONS), scrape.snapshot.reconnects),
    ),
    Metric(
        "ferstream_stage_heartbeat_timestamp_seconds",
        "gauge",
        "Unix time of a stage's last heartbeat.",
        ("stage",),
        lambda scrape: _by_one(scrape.snapshot.beats_utc),
    ),
    Metric(
        "ferstream_events_total",
        "counter",
        "Face events made, by the expression they report.",
        ("camera", "emotion"),
        lambda scrape: _over(_zeros(scrape.cameras, EMOTIONS), scrape.snapshot.events),
    ),
    Metric(
        "ferstream_mqtt_connected",
        "gauge",
        "1 while the broker has accepted the connection, else 0.",
        (),
        lambda scrape: _single(scrape.mqtt_connected),
    ),
    Metric(
        "ferstream_mqtt_publish_total",
        "counter",
        "Messages handed to the broker, by result.",
        ("result",),
        _counts("mqtt_publish", PUBLISH_RESULTS),
    ),
    Metric(
        "ferstream_outbox_events",
        "gauge",
        "Events kept until the broker acknowledges them.",
        (),
        _of_outbox(lambda outbox: outbox.events),
    ),
    Metric("ferstream_outbox_bytes", "gauge", "Bytes of the events in the outbox.", (), _of_outbox(lambda outbox: outbox.bytes)),
    Metric(
        "ferstream_outbox_capacity_events",
        "gauge",
        "Events the outbox may hold (outbox.max_events).",
        (),
        _of_outbox(lambda outbox: outbox.capacity_events),
    ),
    Metric(
        "ferstream_outbox_capacity_bytes",
        "gauge",
        "Bytes the outbox may hold (outbox.max_bytes).",
        (),
        _of_outbox(lambda outbox: outbox.capacity_bytes),
    ),
    Metric(
        "ferstream_outbox_degraded",
        "gauge",
        "1 while the outbox is kept in memory because its disk fails, else 0.",
        (),
        _of_outbox(lambda outbox: outbox.degraded),
    ),
    Metric(
        "ferstream_outbox_dropped_total",
        "counter",
        "Events dropped before delivery, by reason.",
        ("reason",),
        _counts("outbox_dropped", OUTBOX_DROP_REASONS),
    ),
    Metric(
        "ferstream_sink_connected",
        "gauge",
        "1 while the other side of the sink accepts events, else 0; only sinks with a connection.",
        ("sink",),
        _of_sinks(lambda sink: None if sink.connected is None else float(sink.connected)),
    ),
    Metric(
        "ferstream_sink_waiting_events",
        "gauge",
        "Events in the outbox that the sink has not delivered.",
        ("sink",),
        _of_sinks(lambda sink: sink.events),
    ),
    Metric(
        "ferstream_sink_acknowledged_total",
        "counter",
        "Events that the other side of the sink took over.",
        ("sink",),
        _of_sinks(lambda sink: None if sink.events is None else sink.acknowledged),
    ),
    Metric(
        "ferstream_sink_dropped_total",
        "counter",
        "Events that were dropped before the sink delivered them, by reason.",
        ("sink", "reason"),
        _sink_dropped,
    ),
    Metric(
        "ferstream_live_viewers",
        "gauge",
        "Open streams of the live page.",
        (),
        lambda scrape: _single(scrape.viewers),
    ),
    Metric(
        "ferstream_live_messages_total",
        "counter",
        "Messages sent to the viewers of the live page, by kind.",
        ("kind",),
        _counts("live_messages", LIVE_MESSAGES),
    ),
    Metric(
        "ferstream_live_frames_skipped_total",
        "counter",
        "Frames that a viewer of the live page was too slow for: a newer one took their place.",
        ("camera",),
        lambda scrape: _counts("live_frames_skipped", scrape.cameras)(scrape),
    ),
    Metric(
        "ferstream_gpu_memory_bytes",
        "gauge",
        "Memory the classifier holds on its accelerator, 0 on a CPU.",
        (),
        lambda scrape: _single(scrape.gpu_memory_bytes),
    ),
    Metric(
        "ferstream_incidents_total",
        "counter",
        "Rare events that were handled, by kind (batch_limit_halved and others).",
        ("kind", "detail"),
        _incidents,
    ),
    Metric("ferstream_threads", "gauge", "Python threads alive in the process.", (), lambda scrape: _single(threading.active_count())),
    Metric(
        "ferstream_build_info",
        "gauge",
        "Always 1; its labels name version, model and backend.",
        ("version", "model", "backend"),
        lambda scrape: {(scrape.build.version, scrape.build.model, scrape.build.backend): 1.0},
    ),
)
"""Every metric family, in the order of a scrape."""
