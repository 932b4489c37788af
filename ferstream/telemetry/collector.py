"""Reads the counters and a few gauges when Prometheus scrapes; counts nothing itself.

``collect`` runs on the thread of the telemetry server. A gauge whose subject does not exist
(no outbox, no broker) is left out, as is a series that cannot be read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from ferstream.runtime.counters import DURATION_BUCKETS_S, LATENCY_BUCKETS_S, HistogramValue, Snapshot
from ferstream.telemetry import metrics
from ferstream.telemetry.metrics import Metric

LabelValues = TypeVar("LabelValues", bound=tuple[str, ...])


@dataclass(frozen=True, slots=True)
class QueueReading:
    """Items waiting in front of a stage and how many fit."""

    items: int
    capacity: int


@dataclass(frozen=True, slots=True)
class OutboxReading:
    """The state of the outbox: what it holds, what it may hold, whether its disk failed."""

    events: int
    bytes: int
    capacity_events: int
    capacity_bytes: int
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class SinkReading:
    """The state of a sink: whether it is connected (None without a connection), and the counters of its outbox reader."""

    name: str
    connected: bool | None
    events: int | None = None
    acknowledged: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What runs: ferstream's version, the model as ``name/version``, the backend of inference."""

    version: str
    model: str
    backend: str


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Where the numbers come from. Each callable is called once a scrape and must be quick.

    Attributes:
        snapshot: ``Counters.snapshot``.
        cameras: Names of the configured cameras now; their series exist at 0.
        expected_down: Names of those that are meant to deliver nothing now.
        queues: Reading per stage.
        outbox: Reading, None without an outbox.
        mqtt_connected: Whether the broker accepted us, None without a broker.
        gpu_memory_bytes: Memory in use on the accelerator, None when it cannot be read.
        build: What runs.
    """

    snapshot: Callable[[], Snapshot]
    cameras: Callable[[], Iterable[str]]
    build: Callable[[], BuildInfo]
    expected_down: Callable[[], Container[str]] = tuple
    queues: Callable[[], Mapping[str, QueueReading]] = dict
    outbox: Callable[[], OutboxReading | None] = _nothing
    sinks: Callable[[], Sequence[SinkReading]] = tuple
    mqtt_connected: Callable[[], bool | None] = _nothing
    gpu_memory_bytes: Callable[[], int | None] = _nothing


class PipelineCollector(Collector):
    """Turns ``Readings`` into metric families."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def describe(self) -> Iterable[Family]:
        """Name the families without reading anything, for the registry's check of doubles."""
        return [_family(metric) for metric in metrics.CATALOGUE]

    def collect(self) -> Iterator[Family]:
        """Read everything once and yield one family per metric."""
        snapshot = self._readings.snapshot()
        cameras = sorted(set(self._readings.cameras()))
        yield from _frames(snapshot, cameras)
        yield from _times(snapshot, cameras)
        yield from _queues(self._readings.queues())
        yield from _cameras(snapshot, cameras, self._readings.expected_down())
        yield from _delivery(snapshot, self._readings.mqtt_connected(), self._readings.outbox())
        yield from _process(snapshot, self._readings.gpu_memory_bytes(), self._readings.build())


def build_registry(readings: Readings, *, process: bool = True) -> CollectorRegistry:
    """A fresh registry with every metric of ferstream, and those of the process unless told otherwise."""
    registry = CollectorRegistry()
    registry.register(PipelineCollector(readings))
    if process:
        ProcessCollector(registry=registry)
    return registry


def _family(metric: Metric) -> Family:
    kinds: dict[str, Callable[..., Family]] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    return kinds[metric.kind](metric.name, metric.help, labels=metric.labels)


def _counter(metric: Metric, values: Mapping[LabelValues, float]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, values: Mapping[LabelValues, float]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _single(metric: Metric, value: float | None) -> Family:
    values: dict[tuple[str, ...], float] = {} if value is None else {(): value}
    return _gauge(metric, values)


def _histogram(metric: Metric, values: Mapping[LabelValues, HistogramValue]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, cumulative(value), value.sum)
    return family


def cumulative(value: HistogramValue) -> list[tuple[str, float]]:
    """The buckets as Prometheus wants them: each counts everything at or below its bound, the last is +Inf."""
    buckets, seen = [], 0
    for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
        seen += count
        buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), float(seen)))
    return buckets


def _empty(bounds: tuple[float, ...]) -> HistogramValue:
    return HistogramValue(bounds, (0,) * (len(bounds) + 1), 0.0)


def _zeros(*sets: Iterable[str]) -> dict[tuple[str, ...], float]:
    return dict.fromkeys(product(*sets), 0.0)


def _frames(snapshot: Snapshot, cameras: list[str]) -> Iterator[Family]:
    yield _counter(metrics.FRAMES, _zeros(cameras, metrics.FRAME_STAGES) | dict(snapshot.frames))
    drops = {(c, stage, reason): 0.0 for c in cameras for stage, reasons in metrics.DROP_REASONS.items() for reason in reasons}
    yield _counter(metrics.FRAMES_DROPPED, drops | dict(snapshot.dropped))
    found = {(camera,): float(n) for (camera, outcome), n in snapshot.faces.items() if outcome == "found"}
    yield _counter(metrics.FACES, _zeros(cameras) | found)
    fates = {key: float(n) for key, n in snapshot.faces.items() if key[1] != "found"}
    yield _counter(metrics.FACE_OUTCOMES, _zeros(cameras, metrics.FACE_FATES) | fates)


def _times(snapshot: Snapshot, cameras: list[str]) -> Iterator[Family]:
    durations = dict.fromkeys(metrics.STAGES, _empty(DURATION_BUCKETS_S)) | dict(snapshot.durations)
    yield _histogram(metrics.STAGE_DURATION, {(stage,): value for stage, value in durations.items()})
    latencies = dict.fromkeys(cameras, _empty(LATENCY_BUCKETS_S)) | dict(snapshot.latencies)
    yield _histogram(metrics.CAPTURE_TO_PUBLISH, {(camera,): value for camera, value in latencies.items()})
    yield _histogram(metrics.BATCH_FACES, {(): snapshot.batches})


def _queues(queues: Mapping[str, QueueReading]) -> Iterator[Family]:
    yield _gauge(metrics.QUEUE_ITEMS, {(stage,): reading.items for stage, reading in queues.items()})
    yield _gauge(metrics.QUEUE_CAPACITY, {(stage,): reading.capacity for stage, reading in queues.items()})


def _cameras(snapshot: Snapshot, cameras: list[str], expected_down: Container[str]) -> Iterator[Family]:
    # Only these three are for configured cameras alone: a camera that was removed keeps its counts but is not down.
    yield _gauge(metrics.CAMERA_UP, {(c,): float(snapshot.cameras_up.get(c, False)) for c in cameras})
    yield _gauge(metrics.CAMERA_ENABLED, {(c,): float(c not in expected_down) for c in cameras})
    yield _gauge(metrics.CAMERA_LAST_FRAME, {(c,): snapshot.last_frame.get(c, 0.0) for c in cameras})
    yield _counter(metrics.CAMERA_RECONNECTS, _zeros(cameras, metrics.RECONNECT_REASONS) | dict(snapshot.reconnects))
    yield _gauge(metrics.STAGE_HEARTBEAT, {(stage,): at for stage, at in snapshot.beats_utc.items()})
    yield _counter(metrics.EVENTS, _zeros(cameras, metrics.EMOTIONS) | dict(snapshot.events))


def _delivery(snapshot: Snapshot, connected: bool | None, outbox: OutboxReading | None) -> Iterator[Family]:
    yield _single(metrics.MQTT_CONNECTED, connected)
    yield _counter(metrics.MQTT_PUBLISH, _zeros(metrics.PUBLISH_RESULTS) | _tally(snapshot, "mqtt_publish"))
    if outbox is not None:
        yield _single(metrics.OUTBOX_EVENTS, outbox.events)
        yield _single(metrics.OUTBOX_BYTES, outbox.bytes)
        yield _single(metrics.OUTBOX_CAPACITY_EVENTS, outbox.capacity_events)
        yield _single(metrics.OUTBOX_CAPACITY_BYTES, outbox.capacity_bytes)
        yield _single(metrics.OUTBOX_DEGRADED, outbox.degraded)
    yield _counter(metrics.OUTBOX_DROPPED, _zeros(metrics.OUTBOX_DROP_REASONS) | _tally(snapshot, "outbox_dropped"))


def _process(snapshot: Snapshot, gpu_memory_bytes: int | None, build: BuildInfo) -> Iterator[Family]:
    yield _single(metrics.GPU_MEMORY, gpu_memory_bytes)
    rest = {key: float(n) for key, n in snapshot.counts.items() if key[0] not in ("mqtt_publish", "outbox_dropped")}
    yield _counter(metrics.INCIDENTS, rest)
    yield _single(metrics.THREADS, threading.active_count())
    yield _gauge(metrics.BUILD_INFO, {(build.version, build.model, build.backend): 1.0})


def _tally(snapshot: Snapshot, name: str) -> dict[tuple[str, ...], float]:
    return {(label,): float(n) for (n_, label), n in snapshot.counts.items() if n_ == name}
