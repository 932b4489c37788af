"""What the stages report, and the seam through which they report it.

Every thread calls it on the hot path, so an implementation must be quick, must not block and
must not raise. ``Counters`` (counters.py) is the one used in service: counters whose sums can be
stated at any moment, and latency histograms. Telemetry reads it; nothing is counted twice.
"""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Receives counts and durations. ``camera`` and ``stage`` are from small fixed sets."""

    def frame(self, camera: str, stage: str) -> None:
        """A frame left ``stage`` (decode, capture, detection, tracking, inference, publishing)."""
        ...

    def frame_dropped(self, camera: str, stage: str, reason: str, count: int = 1) -> None:
        """Frames ended at ``stage``: overflow, stale, damaged, error, shutdown."""
        ...

    def faces(self, camera: str, outcome: str, count: int) -> None:
        """Faces: found, classified, skipped (abstained before classification), dropped."""
        ...

    def duration(self, stage: str, seconds: float) -> None:
        """One item took ``seconds`` of work in ``stage``; waiting excluded."""
        ...

    def latency(self, camera: str, seconds: float) -> None:
        """From capture to the hand-over to the sinks; of recordings it is the time spent in the pipeline."""
        ...

    def batch(self, faces: int) -> None:
        """A batch of ``faces`` was classified."""
        ...

    def event(self, camera: str, emotion: str) -> None:
        """A face event was published with this label."""
        ...

    def beat(self, stage: str) -> None:
        """``stage`` is alive: it finished an item, or waits for one."""
        ...

    def forget_stage(self, stage: str) -> None:
        """``stage`` ended on purpose: no beat is expected any more."""
        ...

    def camera_up(self, camera: str, up: bool) -> None:
        """The source delivers frames, or not."""
        ...

    def reconnect(self, camera: str, reason: str) -> None:
        """A connection attempt after the first one; ``reason`` from a small fixed set."""
        ...

    def count(self, name: str, label: str = "", count: int = 1) -> None:
        """A rarer counter by name, e.g. ``mqtt_publish`` / ``acknowledged``, ``batch_limit_halved``."""
        ...
