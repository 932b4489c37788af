"""The collector shows what the counters counted, and zeros for what a known camera could count."""

from __future__ import annotations

import shutil
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ferstream.runtime.counters import Counters, HistogramValue, Snapshot
from ferstream.telemetry import metrics
from ferstream.telemetry.collector import PipelineCollector, build_registry, cumulative
from ferstream.telemetry.readings import BuildInfo, CameraLoadReading, LoadReading, OutboxReading, QueueReading, Readings

BUILD = BuildInfo("1.2.3", "emotion-edge/1.0.0", "openvino")
CAMERAS = ["door", "yard"]


def full(counters: Counters) -> CollectorRegistry:
    return build_registry(
        Readings(
            snapshot=counters.snapshot,
            cameras=lambda: CAMERAS,
            build=lambda: BUILD,
            expected_down=lambda: {"yard"},
            queues=lambda: {"detection": QueueReading(2, 4)},
            load=lambda: LoadReading(True, {"door": CameraLoadReading(25.0, 0.4)}),
            outbox=lambda: OutboxReading(3, 900, 100_000, 1 << 26),
            mqtt_connected=lambda: True,
            gpu_memory_bytes=lambda: 0,
        )
    )


def bare(counters: Counters) -> CollectorRegistry:
    return build_registry(Readings(snapshot=counters.snapshot, cameras=lambda: CAMERAS, build=lambda: BUILD), process=False)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("ferstream_frames_total", {"camera": "door", "stage": "capture"}, 12),
        ("ferstream_frames_total", {"camera": "door", "stage": "publishing"}, 9),
        ("ferstream_frames_dropped_total", {"camera": "door", "stage": "detection", "reason": "stale"}, 2),
        ("ferstream_faces_total", {"camera": "door"}, 4),
        ("ferstream_face_outcomes_total", {"camera": "door", "outcome": "classified"}, 3),
        ("ferstream_stage_duration_seconds_count", {"stage": "detection"}, 2),
        ("ferstream_stage_duration_seconds_sum", {"stage": "detection"}, 3.0025),
        ("ferstream_stage_duration_seconds_bucket", {"stage": "detection", "le": "0.003"}, 1),
        ("ferstream_stage_duration_seconds_bucket", {"stage": "detection", "le": "2.5"}, 1),
        ("ferstream_stage_duration_seconds_bucket", {"stage": "detection", "le": "+Inf"}, 2),
        ("ferstream_capture_to_publish_seconds_bucket", {"camera": "door", "le": "0.02"}, 1),
        ("ferstream_batch_faces_bucket", {"le": "4.0"}, 1),
        ("ferstream_queue_items", {"stage": "detection"}, 2),
        ("ferstream_queue_capacity_items", {"stage": "detection"}, 4),
        ("ferstream_camera_up", {"camera": "door"}, 1),
        ("ferstream_camera_enabled", {"camera": "door"}, 1),
        ("ferstream_camera_enabled", {"camera": "yard"}, 0),
        ("ferstream_camera_last_frame_timestamp_seconds", {"camera": "door"}, 1_764_000_000),
        ("ferstream_overloaded", {}, 1),
        ("ferstream_camera_wanted_fps", {"camera": "door"}, 25),
        ("ferstream_camera_served_ratio", {"camera": "door"}, 0.4),
        ("ferstream_camera_reconnects_total", {"camera": "door", "reason": "timeout"}, 1),
        ("ferstream_stage_heartbeat_timestamp_seconds", {"stage": "detection-0"}, 1_764_000_000),
        ("ferstream_events_total", {"camera": "door", "emotion": "happy"}, 1),
        ("ferstream_mqtt_connected", {}, 1),
        ("ferstream_mqtt_publish_total", {"result": "acknowledged"}, 7),
        ("ferstream_outbox_events", {}, 3),
        ("ferstream_outbox_bytes", {}, 900),
        ("ferstream_outbox_capacity_events", {}, 100_000),
        ("ferstream_outbox_capacity_bytes", {}, 1 << 26),
        ("ferstream_outbox_degraded", {}, 0),
        ("ferstream_outbox_dropped_total", {"reason": "max_events"}, 5),
        ("ferstream_gpu_memory_bytes", {}, 0),
        ("ferstream_incidents_total", {"kind": "batch_limit_halved", "detail": ""}, 1),
        ("ferstream_build_info", {"version": "1.2.3", "model": "emotion-edge/1.0.0", "backend": "openvino"}, 1),
    ],
)
def test_each_value_has_its_series(counters: Counters, name: str, labels: dict[str, str], value: float) -> None:
    assert full(counters).get_sample_value(name, labels) == value


def test_series_of_a_known_camera_exist_at_zero() -> None:
    registry = bare(Counters())
    for camera in CAMERAS:
        for emotion in metrics.EMOTIONS:
            assert registry.get_sample_value("ferstream_events_total", {"camera": camera, "emotion": emotion}) == 0
        for stage, reasons in metrics.DROP_REASONS.items():
            assert registry.get_sample_value("ferstream_frames_total", {"camera": camera, "stage": stage}) == 0
            for reason in reasons:
                labels = {"camera": camera, "stage": stage, "reason": reason}
                assert registry.get_sample_value("ferstream_frames_dropped_total", labels) == 0
        assert registry.get_sample_value("ferstream_camera_up", {"camera": camera}) == 0
        assert registry.get_sample_value("ferstream_capture_to_publish_seconds_count", {"camera": camera}) == 0
    for reason in metrics.OUTBOX_DROP_REASONS:
        assert registry.get_sample_value("ferstream_outbox_dropped_total", {"reason": reason}) == 0


def test_a_metric_without_a_subject_has_no_series(counters: Counters) -> None:
    registry = bare(counters)
    for name in (
        "ferstream_overloaded",
        "ferstream_mqtt_connected",
        "ferstream_outbox_events",
        "ferstream_outbox_degraded",
        "ferstream_gpu_memory_bytes",
    ):
        assert registry.get_sample_value(name) is None


def test_a_removed_camera_keeps_its_counts_but_is_not_down(counters: Counters) -> None:
    registry = build_registry(Readings(snapshot=counters.snapshot, cameras=lambda: ["yard"], build=lambda: BUILD), process=False)
    assert registry.get_sample_value("ferstream_camera_up", {"camera": "door"}) is None
    assert registry.get_sample_value("ferstream_camera_last_frame_timestamp_seconds", {"camera": "door"}) is None
    assert registry.get_sample_value("ferstream_frames_total", {"camera": "door", "stage": "capture"}) == 12


def test_a_scrape_takes_one_snapshot() -> None:
    counters, reads = Counters(), []

    def snapshot() -> Snapshot:
        reads.append(1)
        return counters.snapshot()

    registry = build_registry(Readings(snapshot=snapshot, cameras=list, build=lambda: BUILD), process=False)
    reads.clear()
    generate_latest(registry)
    assert len(reads) == 1


def test_every_family_is_described_without_reading() -> None:
    def never() -> None:
        raise AssertionError("read")

    collector = PipelineCollector(Readings(snapshot=never, cameras=never, build=never))  # type: ignore[arg-type]
    described = {(family.name, family.type, family.documentation) for family in collector.describe()}
    assert described == {(m.name.removesuffix("_total"), m.kind, m.help) for m in metrics.CATALOGUE}


def test_the_text_parses_and_has_every_family_with_its_type_and_help(counters: Counters) -> None:
    families = {family.name: family for family in text_string_to_metric_families(generate_latest(full(counters)).decode())}
    for metric in metrics.CATALOGUE:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample


def test_no_series_appears_twice(counters: Counters) -> None:
    series = [(sample.name, *sorted(sample.labels.items())) for family in full(counters).collect() for sample in family.samples]
    assert len(series) == len(set(series))


def test_the_process_is_measured(counters: Counters) -> None:
    registry = full(counters)
    assert (registry.get_sample_value("process_resident_memory_bytes") or 0) > 1e6
    assert registry.get_sample_value("process_cpu_seconds_total") is not None
    assert registry.get_sample_value("ferstream_threads") == threading.active_count()


@given(st.lists(st.floats(0, 20), max_size=60))
def test_histograms_add_up(values: list[float]) -> None:
    counters = Counters()
    for value in values:
        counters.latency("door", value)
    buckets = cumulative(counters.snapshot().latencies["door"]) if values else []
    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    for bound, count in buckets:
        assert count == sum(value <= float(bound) for value in values)


def test_bucket_bounds_are_written_as_prometheus_writes_them() -> None:
    assert cumulative(HistogramValue((0.005, 1.0), (1, 2, 3), 9.0)) == [("0.005", 1.0), ("1.0", 3.0), ("+Inf", 6.0)]


def test_promtool_accepts_the_metrics(counters: Counters) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    found = subprocess.run([promtool, "check", "metrics"], input=generate_latest(full(counters)), capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")
