"""Writes the dashboards: ``python deploy/grafana/generate.py`` after any change here.

A test compares the files with what this would write, and another runs every query against a real
Prometheus that scrapes a real ferstream.
"""

from __future__ import annotations

import json
from pathlib import Path

from panels import Json, Query, Size, dashboard, heatmap, lines, row, stat, table, timeline, variable

FOLDER = Path(__file__).parent / "dashboards"
JOB = variable("job", "label_values(ferstream_build_info, job)", label="Job")
NODE = variable("instance", 'label_values(ferstream_build_info{job="$job"}, instance)', label="Node")
CAMERA = variable("camera", 'label_values(ferstream_camera_up{job="$job", instance="$instance"}, camera)', label="Camera", multi=True)

ALL = '{job="$job"}'
ONE = '{job="$job", instance="$instance"}'
CAM = '{job="$job", instance="$instance", camera=~"$camera"}'
RATE = "[$__rate_interval]"


def within(selector: str, *more: str) -> str:
    """A selector with further conditions."""
    return selector[:-1] + "".join(f", {condition}" for condition in more) + "}"


def quantile(q: float, metric: str, selector: str, *by: str) -> str:
    """A quantile of a histogram, one line for each combination of the labels ``by``."""
    return f"histogram_quantile({q}, sum by ({', '.join((*by, 'le'))}) (rate({metric}_bucket{selector}{RATE})))"


def fleet() -> Json:
    """All nodes on one page."""
    quarter, half, third = Size(4, 4), Size(12), Size(8)
    captured = within(ALL, 'stage="capture"')
    dropped = within(ALL, 'stage!="decode"')
    panels = [
        stat("Nodes up", "Nodes whose metrics page answers.", Query(f"sum(up{ALL})"), quarter, steps=[(None, "red"), (1, "green")]),
        stat(
            "Nodes down", "Nodes that do not answer.", Query(f"count(up{ALL}) - sum(up{ALL})"), quarter, steps=[(None, "green"), (1, "red")]
        ),
        stat(
            "Cameras up",
            "Cameras that deliver frames.",
            Query(f"sum(ferstream_camera_up{ALL})"),
            quarter,
            steps=[(None, "red"), (1, "green")],
        ),
        stat(
            "Cameras down",
            "Cameras that should deliver frames and do not.",
            Query(f"count((ferstream_camera_up{ALL} == 0) and (ferstream_camera_enabled{ALL} == 1)) or vector(0)"),
            quarter,
            steps=[(None, "green"), (1, "red")],
        ),
        stat("Events", "Face events a second, all nodes.", Query(f"sum(rate(ferstream_events_total{ALL}{RATE}))"), quarter, unit="ops"),
        stat(
            "Alerts firing",
            "Alerts of ferstream, without mere information.",
            Query('count(ALERTS{alertstate="firing", alertname=~"Ferstream.*", severity!="info"}) or vector(0)'),
            quarter,
            steps=[(None, "green"), (1, "red")],
        ),
        row("Expressions"),
        lines(
            "Events by expression",
            "What the faces resemble, events a second over all nodes. Says nothing about anybody's feelings.",
            [Query(f"sum by (emotion) (rate(ferstream_events_total{ALL}{RATE}))", "{{emotion}}")],
            Size(16, 9),
            unit="ops",
            stack=True,
            emotions=True,
        ),
        lines(
            "Events by node",
            "Face events a second of each node.",
            [Query(f"sum by (instance) (rate(ferstream_events_total{ALL}{RATE}))", "{{instance}}")],
            Size(8, 9),
            unit="ops",
        ),
        row("Nodes"),
        table(
            "Nodes",
            "What runs where, and how it fares.",
            [
                ("", f"ferstream_build_info{ALL}", "short"),
                ("cameras up", f"sum by (instance) (ferstream_camera_up{ALL})", "short"),
                ("frames/s", f"sum by (instance) (rate(ferstream_frames_total{captured}{RATE}))", "short"),
                ("p99 latency", quantile(0.99, "ferstream_capture_to_publish_seconds", ALL, "instance"), "s"),
                ("in outbox", f"sum by (instance) (ferstream_outbox_events{ALL})", "short"),
                ("CPU", f"sum by (instance) (rate(process_cpu_seconds_total{ALL}{RATE}))", "percentunit"),
                ("memory", f"sum by (instance) (process_resident_memory_bytes{ALL})", "bytes"),
                ("up for", f"sum by (instance) (time() - process_start_time_seconds{ALL})", "s"),
            ],
            Size(24),
            by="instance",
        ),
        timeline(
            "Cameras",
            "Each camera over time.",
            [Query(f"ferstream_camera_up{ALL}", "{{instance}} {{camera}}")],
            half,
            good="up",
            bad="down",
        ),
        timeline(
            "Broker",
            "Each node's connection over time.",
            [Query(f"ferstream_mqtt_connected{ALL}", "{{instance}}")],
            half,
            good="connected",
            bad="away",
        ),
        row("Service"),
        lines(
            "Latency, 99th percentile",
            "Capture to publishing, the slowest 1 % of each node.",
            [Query(quantile(0.99, "ferstream_capture_to_publish_seconds", ALL, "instance"), "{{instance}}")],
            third,
            unit="s",
        ),
        lines(
            "Frames dropped",
            "Share of the captured frames that ended before publishing.",
            [
                Query(
                    f"sum by (instance) (rate(ferstream_frames_dropped_total{dropped}{RATE}))"
                    f" / (sum by (instance) (rate(ferstream_frames_total{captured}{RATE})) > 0)",
                    "{{instance}}",
                )
            ],
            third,
            unit="percentunit",
        ),
        lines(
            "Reconnects",
            "Connection attempts after the first, per hour, by what ended the last connection.",
            [
                Query(
                    f"sum by (instance, camera, reason) (rate(ferstream_camera_reconnects_total{ALL}[1h])) * 3600 > 0 or on() vector(0)",
                    "{{instance}} {{camera}} {{reason}}",
                )
            ],
            third,
        ),
    ]
    to_node = {"title": "Node", "type": "dashboards", "tags": ["ferstream"], "includeVars": True, "keepTime": True}
    return dashboard("ferstream-fleet", "ferstream: fleet", "Every node at a glance.", [JOB], panels, [to_node])


def node() -> Json:
    """Everything one node tells."""
    panels = [*_node_frames(), *_node_latency(), *_node_inside(), *_node_delivery(), *_node_process()]
    back = {"title": "Fleet", "type": "dashboards", "tags": ["ferstream"], "includeVars": True, "keepTime": True}
    return dashboard("ferstream-node", "ferstream: node", "One node in depth.", [JOB, NODE, CAMERA], panels, [back])


def _node_frames() -> list[Json]:
    third = Size(8)
    captured, published = within(CAM, 'stage="capture"'), within(CAM, 'stage="publishing"')
    return [
        row("Frames and faces"),
        lines(
            "Frames captured",
            "Frames a second taken for analysis.",
            [Query(f"sum by (camera) (rate(ferstream_frames_total{captured}{RATE}))", "{{camera}}")],
            third,
        ),
        lines(
            "Frames analysed",
            "Frames a second that went all the way.",
            [Query(f"sum by (camera) (rate(ferstream_frames_total{published}{RATE}))", "{{camera}}")],
            third,
        ),
        lines(
            "Frames dropped",
            "By where and why. overflow and stale: too slow for the camera. damaged: bad packets.",
            [
                Query(
                    f"sum by (stage, reason) (rate(ferstream_frames_dropped_total{CAM}{RATE})) > 0 or on() vector(0)",
                    "{{stage}} {{reason}}",
                )
            ],
            third,
            stack=True,
        ),
        lines(
            "Events by expression",
            "What the faces resemble, events a second.",
            [Query(f"sum by (emotion) (rate(ferstream_events_total{CAM}{RATE}))", "{{emotion}}")],
            Size(16),
            unit="ops",
            stack=True,
            emotions=True,
        ),
        lines(
            "Faces",
            "Faces found a second, and what became of them.",
            [
                Query(f"sum(rate(ferstream_faces_total{CAM}{RATE}))", "found"),
                Query(f"sum by (outcome) (rate(ferstream_face_outcomes_total{CAM}{RATE}))", "{{outcome}}"),
            ],
            third,
            unit="ops",
        ),
        timeline("Cameras", "Up and down.", [Query(f"ferstream_camera_up{CAM}", "{{camera}}")], Size(12, 6), good="up", bad="down"),
        lines(
            "Age of the last frame",
            "Grows while a camera is silent.",
            [Query(f"time() - (ferstream_camera_last_frame_timestamp_seconds{CAM} > 0)", "{{camera}}")],
            Size(12, 6),
            unit="s",
        ),
    ]


def _node_latency() -> list[Json]:
    metric, stage = "ferstream_capture_to_publish_seconds", "ferstream_stage_duration_seconds"
    return [
        row("Latency"),
        lines(
            "Capture to publishing",
            "Percentiles over the chosen cameras.",
            [Query(quantile(q, metric, CAM), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)],
            Size(12),
            unit="s",
        ),
        heatmap("Capture to publishing", "How the frames spread.", f"sum by (le) (increase({metric}_bucket{CAM}{RATE}))", Size(12)),
        lines("Work per stage, median", "Waiting excluded.", [Query(quantile(0.5, stage, ONE, "stage"), "{{stage}}")], Size(12), unit="s"),
        lines(
            "Work per stage, 99th percentile",
            "Waiting excluded.",
            [Query(quantile(0.99, stage, ONE, "stage"), "{{stage}}")],
            Size(12),
            unit="s",
        ),
        *(_work_of(name) for name in ("detection", "tracking", "inference", "publishing")),
    ]


def _work_of(stage: str) -> Json:
    selector = within(ONE, f'stage="{stage}"')
    expr = f"sum by (le) (increase(ferstream_stage_duration_seconds_bucket{selector}{RATE}))"
    return heatmap(f"Work of {stage}", "How the items spread.", expr, Size(6, 7))


def _node_inside() -> list[Json]:
    third = Size(8)
    return [
        row("Queues and batches"),
        lines(
            "Queues", "Items waiting in front of each stage.", [Query(f"sum by (stage) (ferstream_queue_items{ONE})", "{{stage}}")], third
        ),
        lines(
            "Queues, share filled",
            "A queue that stays full stands before the slowest stage.",
            [
                Query(
                    f"sum by (stage) (ferstream_queue_items{ONE}) / (sum by (stage) (ferstream_queue_capacity_items{ONE}) > 0)", "{{stage}}"
                )
            ],
            third,
            unit="percentunit",
        ),
        lines(
            "Faces per batch",
            "Mean and 95th percentile.",
            [
                Query(f"sum(rate(ferstream_batch_faces_sum{ONE}{RATE})) / (sum(rate(ferstream_batch_faces_count{ONE}{RATE})) > 0)", "mean"),
                Query(quantile(0.95, "ferstream_batch_faces", ONE), "p95"),
            ],
            third,
        ),
        lines(
            "Age of the heartbeats",
            "Every stage shows a sign of life twice a second, even when it has nothing to do.",
            [Query(f"time() - ferstream_stage_heartbeat_timestamp_seconds{ONE}", "{{stage}}")],
            Size(12),
            unit="s",
        ),
        lines(
            "Incidents",
            "Rare things that were survived, per hour.",
            [
                Query(
                    f"sum by (kind, detail) (rate(ferstream_incidents_total{ONE}[1h])) * 3600 > 0 or on() vector(0)", "{{kind}} {{detail}}"
                )
            ],
            Size(12),
        ),
    ]


def _node_delivery() -> list[Json]:
    return [
        row("Broker and outbox"),
        timeline(
            "Broker",
            "The connection over time.",
            [Query(f"ferstream_mqtt_connected{ONE}", "broker")],
            Size(8, 6),
            good="connected",
            bad="away",
        ),
        lines(
            "Published",
            "Messages a second by result.",
            [Query(f"sum by (result) (rate(ferstream_mqtt_publish_total{ONE}{RATE}))", "{{result}}")],
            Size(8, 6),
            unit="ops",
        ),
        lines(
            "Given up",
            "Events dropped from the outbox, by reason.",
            [Query(f"sum by (reason) (rate(ferstream_outbox_dropped_total{ONE}{RATE}))", "{{reason}}")],
            Size(8, 6),
            unit="ops",
        ),
        lines(
            "Outbox, events",
            "Kept until the broker acknowledges them, and how many fit.",
            [Query(f"ferstream_outbox_events{ONE}", "waiting"), Query(f"ferstream_outbox_capacity_events{ONE}", "limit")],
            Size(8),
        ),
        lines(
            "Outbox, bytes",
            "The same in bytes.",
            [Query(f"ferstream_outbox_bytes{ONE}", "waiting"), Query(f"ferstream_outbox_capacity_bytes{ONE}", "limit")],
            Size(8),
            unit="bytes",
        ),
        timeline(
            "Outbox on disk",
            "In memory alone while its disk fails.",
            [Query(f"1 - ferstream_outbox_degraded{ONE}", "outbox")],
            Size(8),
            good="on disk",
            bad="in memory",
        ),
    ]


def _node_process() -> list[Json]:
    return [
        row("Process"),
        lines("CPU", "1 is one core.", [Query(f"rate(process_cpu_seconds_total{ONE}{RATE})", "CPU")], Size(6), unit="percentunit"),
        lines("Memory", "Resident.", [Query(f"process_resident_memory_bytes{ONE}", "resident")], Size(6), unit="bytes"),
        lines(
            "GPU memory",
            "What the classifier holds on its accelerator; 0 on a CPU.",
            [Query(f"ferstream_gpu_memory_bytes{ONE}", "GPU")],
            Size(6),
            unit="bytes",
        ),
        lines(
            "Threads and files",
            "Neither may grow for long.",
            [Query(f"ferstream_threads{ONE}", "threads"), Query(f"process_open_fds{ONE}", "open files")],
            Size(6),
        ),
    ]


def render() -> dict[Path, str]:
    """Each file's path and its content."""
    return {FOLDER / f"{build()['uid'].removeprefix('ferstream-')}.json": json.dumps(build(), indent=2) + "\n" for build in (fleet, node)}


if __name__ == "__main__":
    for path, text in render().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
