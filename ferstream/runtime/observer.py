"""The Protocol through which stages report counts and durations.

Every thread calls it on the hot path, so an implementation must be fast, must not block and must not
raise. ``Counters`` (counters.py) is the implementation in service; telemetry reads it.
"""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Receives counts and durations. Every label is from a small fixed set, because each value becomes a time series."""

    def frame(self, camera: str, stage: str) -> None:
        """Count a frame that left ``stage`` (decode, capture, detection, tracking, inference, publishing)."""
        ...

    def frame_dropped(self, camera: str, stage: str, reason: str, count: int = 1) -> None:
        """Count frames dropped at ``stage``; reasons: overflow, stale, damaged, error, shutdown."""
        ...

    def faces(self, camera: str, outcome: str, count: int) -> None:
        """Count faces; outcomes: found, classified, skipped (no crop was cut), dropped."""
        ...

    def duration(self, stage: str, seconds: float) -> None:
        """Record the seconds of work that one item took in ``stage``, without waiting."""
        ...

    def latency(self, camera: str, seconds: float) -> None:
        """Record the seconds from capture to the hand-over to the sinks; for recordings, the time in the pipeline."""
        ...

    def batch(self, faces: int) -> None:
        """Record that a batch of ``faces`` faces was classified."""
        ...

    def event(self, camera: str, emotion: str) -> None:
        """Count a face event published with this label."""
        ...

    def beat(self, stage: str) -> None:
        """Record a heartbeat: ``stage`` finished an item, or waits for one."""
        ...

    def forget_stage(self, stage: str) -> None:
        """Forget the heartbeat of a stage that ended on purpose."""
        ...

    def camera_up(self, camera: str, up: bool) -> None:
        """Record whether the source of ``camera`` delivers frames."""
        ...

    def reconnect(self, camera: str, reason: str) -> None:
        """Count a connection attempt after the first one."""
        ...

    def count(self, name: str, label: str = "", count: int = 1) -> None:
        """Add ``count`` to another counter, such as ``mqtt_publish`` with label ``acknowledged``."""
        ...
