"""The name, the labels and the meaning of every metric; docs/metrics.md explains each.

Nothing is counted here: the counters counts, and ``collector.py`` reads it when it is scraped.
Rules kept: base units, ``_total`` on counters, times as timestamps and never as ages, labels
from small fixed sets only, and every series of a known camera exists at 0 from the first scrape,
so that ``rate()`` and ``absent()`` mean what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ferstream.domain.emotion import LABELS, UNKNOWN

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family. ``name`` is what a query uses, ``_total`` of a counter included."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


FRAMES = Metric("ferstream_frames_total", "counter", "Frames that left a stage.", ("camera", "stage"))
FRAMES_DROPPED = Metric(
    "ferstream_frames_dropped_total", "counter", "Frames that ended before publishing, by where and why.", ("camera", "stage", "reason")
)
FACES = Metric("ferstream_faces_total", "counter", "Faces found by the detector.", ("camera",))
FACE_OUTCOMES = Metric(
    "ferstream_face_outcomes_total", "counter", "What became of the faces found: classified, skipped or dropped.", ("camera", "outcome")
)
STAGE_DURATION = Metric("ferstream_stage_duration_seconds", "histogram", "Work per item of a stage, waiting excluded.", ("stage",))
CAPTURE_TO_PUBLISH = Metric(
    "ferstream_capture_to_publish_seconds", "histogram", "Time from capture to the hand-over to the sinks, live cameras only.", ("camera",)
)
BATCH_FACES = Metric("ferstream_batch_faces", "histogram", "Faces in one batch of the classifier.")
QUEUE_ITEMS = Metric("ferstream_queue_items", "gauge", "Items waiting in front of a stage.", ("stage",))
QUEUE_CAPACITY = Metric("ferstream_queue_capacity_items", "gauge", "Items that fit in front of a stage.", ("stage",))
CAMERA_UP = Metric("ferstream_camera_up", "gauge", "1 while the camera delivers frames, else 0.", ("camera",))
CAMERA_ENABLED = Metric(
    "ferstream_camera_enabled", "gauge", "0 while the camera is switched off or its recording is over, else 1.", ("camera",)
)
CAMERA_LAST_FRAME = Metric(
    "ferstream_camera_last_frame_timestamp_seconds", "gauge", "Unix time of the last frame captured, 0 before the first.", ("camera",)
)
CAMERA_RECONNECTS = Metric(
    "ferstream_camera_reconnects_total", "counter", "Connection attempts after the first, by what ended the last one.", ("camera", "reason")
)
STAGE_HEARTBEAT = Metric("ferstream_stage_heartbeat_timestamp_seconds", "gauge", "Unix time of a stage's last sign of life.", ("stage",))
EVENTS = Metric("ferstream_events_total", "counter", "Face events made, by the expression they report.", ("camera", "emotion"))
MQTT_CONNECTED = Metric("ferstream_mqtt_connected", "gauge", "1 while the broker has accepted the connection, else 0.")
MQTT_PUBLISH = Metric("ferstream_mqtt_publish_total", "counter", "Messages handed to the broker, by result.", ("result",))
OUTBOX_EVENTS = Metric("ferstream_outbox_events", "gauge", "Events kept until the broker acknowledges them.")
OUTBOX_BYTES = Metric("ferstream_outbox_bytes", "gauge", "Bytes of the events in the outbox.")
OUTBOX_CAPACITY_EVENTS = Metric("ferstream_outbox_capacity_events", "gauge", "Events the outbox may hold (outbox.max_events).")
OUTBOX_CAPACITY_BYTES = Metric("ferstream_outbox_capacity_bytes", "gauge", "Bytes the outbox may hold (outbox.max_bytes).")
OUTBOX_DEGRADED = Metric("ferstream_outbox_degraded", "gauge", "1 while the outbox lives in memory because its disk fails, else 0.")
OUTBOX_DROPPED = Metric("ferstream_outbox_dropped_total", "counter", "Events given up before delivery, by reason.", ("reason",))
GPU_MEMORY = Metric("ferstream_gpu_memory_bytes", "gauge", "Memory the classifier holds on its accelerator, 0 on a CPU.")
INCIDENTS = Metric(
    "ferstream_incidents_total", "counter", "Rare things that were survived, by kind (batch_limit_halved and the like).", ("kind", "detail")
)
THREADS = Metric("ferstream_threads", "gauge", "Python threads alive in the process.")
BUILD_INFO = Metric("ferstream_build_info", "gauge", "Always 1; its labels say what runs.", ("version", "model", "backend"))

CATALOGUE: tuple[Metric, ...] = (
    FRAMES,
    FRAMES_DROPPED,
    FACES,
    FACE_OUTCOMES,
    STAGE_DURATION,
    CAPTURE_TO_PUBLISH,
    BATCH_FACES,
    QUEUE_ITEMS,
    QUEUE_CAPACITY,
    CAMERA_UP,
    CAMERA_ENABLED,
    CAMERA_LAST_FRAME,
    CAMERA_RECONNECTS,
    STAGE_HEARTBEAT,
    EVENTS,
    MQTT_CONNECTED,
    MQTT_PUBLISH,
    OUTBOX_EVENTS,
    OUTBOX_BYTES,
    OUTBOX_CAPACITY_EVENTS,
    OUTBOX_CAPACITY_BYTES,
    OUTBOX_DEGRADED,
    OUTBOX_DROPPED,
    GPU_MEMORY,
    INCIDENTS,
    THREADS,
    BUILD_INFO,
)
"""Every family of ours, in the order in which a scrape lists them."""

STAGES = ("capture", "detection", "tracking", "inference", "publishing")
"""Stages that work on items: the stage label of durations."""
FRAME_STAGES = ("decode", *STAGES)
"""Stages that a frame leaves."""
DROP_REASONS: dict[str, tuple[str, ...]] = {
    "decode": ("damaged",),
    "capture": ("overflow", "error", "shutdown"),
    "detection": ("stale", "error", "shutdown"),
    "tracking": ("error", "shutdown"),
    "inference": ("error", "shutdown"),
    "publishing": ("error", "shutdown"),
}
"""Why a frame can end in each stage."""
FACE_FATES = ("classified", "skipped", "dropped")
"""What can become of a face that was found."""
EMOTIONS = (*LABELS, UNKNOWN)
"""Labels an event can carry."""
RECONNECT_REASONS = ("error", "authentication", "timeout", "format", "stalled", "frozen", "internal")
"""What can end a connection to a camera."""
PUBLISH_RESULTS = ("acknowledged", "rejected", "resent")
"""What can become of a message handed to the broker."""
OUTBOX_DROP_REASONS = ("max_events", "max_bytes", "rejected", "refused", "invalid", "corrupt", "privacy")
"""Why the outbox can give an event up."""
