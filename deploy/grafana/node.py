"""The dashboard of one node."""

from __future__ import annotations

from label_selectors import CAM, CAMERA, JOB, NODE, ONE, RATE, quantile, within
from panels import Json, Query, Size, dashboard, heatmap, lines, row, timeline


def node() -> Json:
    """Return the dashboard of one node."""
    panels = [
        *_frames(),
        *_faces(),
        *_latency(),
        *_queues(),
        *_signs_of_life(),
        *_broker(),
        *_outbox(),
        *_sinks(),
        *_live_page(),
        *_process(),
    ]
    back = {"title": "Fleet", "type": "dashboards", "tags": ["ferstream"], "includeVars": True, "keepTime": True}
    return dashboard("ferstream-node", "ferstream: node", "One node in depth.", [JOB, NODE, CAMERA], panels, [back])


def _frames() -> list[Json]:
    """Frames captured, analysed and dropped."""
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
    ]


def _faces() -> list[Json]:
    """Events, faces, and the state of the cameras."""
    return [
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
            Size(8),
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
        *_load(),
    ]


def _load() -> list[Json]:
    third = Size(8, 6)
    return [
        timeline(
            "Load",
            "Whether the cameras ask for more frames than are analysed.",
            [Query(f"1 - ferstream_overloaded{ONE}", "load")],
            third,
            good="served",
            bad="overloaded",
        ),
        lines(
            "Frames wanted",
            "Frames a second that each live camera asks to be analysed.",
            [Query(f"ferstream_camera_wanted_fps{CAM}", "{{camera}}")],
            third,
        ),
        lines(
            "Share of the wanted frames that is analysed",
            "The same for all cameras during an overload.",
            [Query(f"ferstream_camera_served_ratio{CAM}", "{{camera}}")],
            third,
            unit="percentunit",
        ),
    ]


def _latency() -> list[Json]:
    """Latency and the work of each stage."""
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


def _queues() -> list[Json]:
    """Queues and batches."""
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
    ]


def _signs_of_life() -> list[Json]:
    """Heartbeats and incidents."""
    return [
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


def _broker() -> list[Json]:
    """The connection to the broker and what was published."""
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
            "Events lost",
            "Events dropped from the outbox, by reason.",
            [Query(f"sum by (reason) (rate(ferstream_outbox_dropped_total{ONE}{RATE}))", "{{reason}}")],
            Size(8, 6),
            unit="ops",
        ),
    ]


def _outbox() -> list[Json]:
    """What waits in the outbox."""
    return [
        lines(
            "Outbox, events",
            "Kept until every sink acknowledges them.",
            [Query(f"ferstream_outbox_events{ONE}", "waiting")],
            Size(8),
        ),
        lines(
            "Outbox, share filled",
            "Of its limits in events and in bytes; at 100 % the oldest events are dropped.",
            [
                Query(f"ferstream_outbox_events{ONE} / ferstream_outbox_capacity_events{ONE}", "events"),
                Query(f"ferstream_outbox_bytes{ONE} / ferstream_outbox_capacity_bytes{ONE}", "bytes"),
            ],
            Size(8),
            unit="percentunit",
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


def _sinks() -> list[Json]:
    """Each sink: its connection, what waits for it, what it delivered and lost."""
    quarter = Size(6)
    return [
        row("Sinks"),
        timeline(
            "Sinks",
            "The connection of each sink over time.",
            [Query(f"ferstream_sink_connected{ONE}", "{{sink}}")],
            quarter,
            good="connected",
            bad="away",
        ),
        lines(
            "Waiting events",
            "Events in the outbox that the sink has not delivered.",
            [Query(f"ferstream_sink_waiting_events{ONE}", "{{sink}}")],
            quarter,
        ),
        lines(
            "Delivered events",
            "Events a second that the other side took over.",
            [Query(f"sum by (sink) (rate(ferstream_sink_acknowledged_total{ONE}{RATE}))", "{{sink}}")],
            quarter,
            unit="ops",
        ),
        lines(
            "Lost events",
            "Events a second that were dropped before the sink delivered them, by reason.",
            [Query(f"sum by (sink, reason) (rate(ferstream_sink_dropped_total{ONE}{RATE}))", "{{sink}} {{reason}}")],
            quarter,
            unit="ops",
        ),
    ]


def _live_page() -> list[Json]:
    """Who looks at the live page, and what is sent to them."""
    third = Size(8, 6)
    return [
        row("Live page"),
        lines("Viewers", "Open streams of the live page.", [Query(f"ferstream_live_viewers{ONE}", "viewers")], third),
        lines(
            "Messages to viewers",
            "Messages a second that the streams took, by kind.",
            [Query(f"sum by (kind) (rate(ferstream_live_messages_total{ONE}{RATE}))", "{{kind}}")],
            third,
            unit="ops",
        ),
        lines(
            "Frames skipped for viewers",
            "Frames a second that a viewer was too slow for, by camera.",
            [Query(f"sum by (camera) (rate(ferstream_live_frames_skipped_total{ONE}{RATE}))", "{{camera}}")],
            third,
            unit="ops",
        ),
    ]


def _process() -> list[Json]:
    """CPU, memory, threads and files."""
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
