"""Turns the catalogue of metrics into Prometheus families when it is scraped; counts nothing itself.

``collect`` runs on the thread of the telemetry server. A metric whose subject does not exist (no outbox, no broker) has no series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from ferstream.runtime.counters import HistogramValue
from ferstream.telemetry.metrics import CATALOGUE, Metric, Values
from ferstream.telemetry.readings import Readings


class PipelineCollector(Collector):
    """A Prometheus collector of every metric in ``CATALOGUE``.

    Args:
        readings: Functions that return the current values.
    """

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def describe(self) -> Iterable[Family]:
        """Return the families without values, for the registry's check of duplicate names."""
        return [_family(metric, {}) for metric in CATALOGUE]

    def collect(self) -> Iterator[Family]:
        """Read every value once and yield one family per metric."""
        scrape = self._readings.read()
        for metric in CATALOGUE:
            yield _family(metric, metric.read(scrape))


def build_registry(readings: Readings, *, process: bool = True) -> CollectorRegistry:
    """Return a new registry with every metric of ferstream, and with those of the process (memory, CPU) if ``process``."""
    registry = CollectorRegistry()
    registry.register(PipelineCollector(readings))
    if process:
        ProcessCollector(registry=registry)
    return registry


def _family(metric: Metric, values: Values) -> Family:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in sorted(values.items(), key=_labels):
            assert isinstance(value, HistogramValue)
            histogram.add_metric(labels, cumulative(value), value.sum)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items(), key=_labels):
        assert not isinstance(value, HistogramValue)
        family.add_metric(labels, value)
    return family


def _labels(item: tuple[tuple[str, ...], object]) -> tuple[str, ...]:
    return item[0]


def cumulative(value: HistogramValue) -> list[tuple[str, float]]:
    """Return the buckets as Prometheus expects them: each counts all values up to its bound, the last bound is +Inf."""
    buckets, total = [], 0
    for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), float(total)))
    return buckets
