"""The catalogue of metrics: names, types and labels that dashboards rely on, compared with a list written by hand."""

from __future__ import annotations

import re
from pathlib import Path

from ferstream.telemetry import metrics

EXPECTED = """
counter   ferstream_frames_total                          camera stage
counter   ferstream_frames_dropped_total                  camera stage reason
counter   ferstream_faces_total                           camera
counter   ferstream_face_outcomes_total                   camera outcome
histogram ferstream_stage_duration_seconds                stage
histogram ferstream_capture_to_publish_seconds            camera
histogram ferstream_batch_faces
gauge     ferstream_queue_items                           stage
gauge     ferstream_queue_capacity_items                  stage
gauge     ferstream_camera_up                             camera
gauge     ferstream_camera_enabled                        camera
gauge     ferstream_camera_last_frame_timestamp_seconds   camera
gauge     ferstream_overloaded
gauge     ferstream_camera_wanted_fps                     camera
gauge     ferstream_camera_served_ratio                   camera
counter   ferstream_camera_reconnects_total               camera reason
gauge     ferstream_stage_heartbeat_timestamp_seconds     stage
counter   ferstream_events_total                          camera emotion
gauge     ferstream_mqtt_connected
counter   ferstream_mqtt_publish_total                    result
gauge     ferstream_outbox_events
gauge     ferstream_outbox_bytes
gauge     ferstream_outbox_capacity_events
gauge     ferstream_outbox_capacity_bytes
gauge     ferstream_outbox_degraded
counter   ferstream_outbox_dropped_total                  reason
gauge     ferstream_sink_connected                        sink
gauge     ferstream_sink_waiting_events                   sink
counter   ferstream_sink_acknowledged_total               sink
counter   ferstream_sink_dropped_total                    sink reason
gauge     ferstream_live_viewers
counter   ferstream_live_messages_total                   kind
counter   ferstream_live_frames_skipped_total             camera
gauge     ferstream_gpu_memory_bytes
counter   ferstream_incidents_total                       kind detail
gauge     ferstream_threads
gauge     ferstream_build_info                            version model backend
"""


def test_names_types_and_labels_are_stable() -> None:
    expected = [tuple(line.split()) for line in EXPECTED.strip().splitlines()]
    assert [(m.kind, m.name, *m.labels) for m in metrics.CATALOGUE] == expected


def test_names_are_unique() -> None:
    names = [metric.name for metric in metrics.CATALOGUE]
    assert len(names) == len(set(names))


def test_counters_and_only_counters_end_in_total() -> None:
    for metric in metrics.CATALOGUE:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name


def test_help_is_one_sentence() -> None:
    for metric in metrics.CATALOGUE:
        assert re.fullmatch(r"[A-Z0-9][^\n]+\.", metric.help), metric.name


def test_every_metric_is_explained_in_the_documents() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    missing = [metric.name for metric in metrics.CATALOGUE if f"`{metric.name}" not in page]
    assert not missing


def test_the_documents_name_only_metrics_that_exist() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    known = {metric.name for metric in metrics.CATALOGUE}
    known |= {f"{m.name}{end}" for m in metrics.CATALOGUE if m.kind == "histogram" for end in ("_bucket", "_sum", "_count")}
    assert set(re.findall(r"\bferstream_[a-z_]+[a-z]\b", page)) <= known
