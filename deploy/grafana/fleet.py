"""The dashboard of all nodes."""

from __future__ import annotations

from label_selectors import ALL, JOB, RATE, quantile, within
from panels import Json, Query, Size, dashboard, lines, row, stat, table, timeline


def fleet() -> Json:
    """Return the dashboard of all nodes."""
    panels = [*_totals(), *_expressions(), *_nodes(), *_service()]
    to_node = {"title": "Node", "type": "dashboards", "tags": ["ferstream"], "includeVars": True, "keepTime": True}
    return dashboard("ferstream-fleet", "ferstream: fleet", "Every node at a glance.", [JOB], panels, [to_node])


def _totals() -> list[Json]:
    """Numbers over all nodes."""
    quarter = Size(4, 4)
    return [
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
    ]


def _expressions() -> list[Json]:
    """Events by expression and by node."""
    return [
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
    ]


def _nodes() -> list[Json]:
    """What runs where, and the state of cameras and brokers."""
    half = Size(12)
    captured = within(ALL, 'stage="capture"')
    return [
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
    ]


def _service() -> list[Json]:
    """Latency, dropped frames and reconnects."""
    third = Size(8)
    captured = within(ALL, 'stage="capture"')
    dropped = within(ALL, 'stage!="decode"')
    return [
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
