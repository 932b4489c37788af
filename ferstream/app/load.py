"""Watches the load of a running daemon, and writes to the log when an overload begins and ends."""

from __future__ import annotations

import structlog

from ferstream.pipeline.overload import Load, OverloadDetector
from ferstream.pipeline.pipeline import Pipeline
from ferstream.runtime.clock import Clock

ADVICE = (
    "lower analysis_fps, use fewer cameras or smaller streams, set inference.model to emotion-small, or lower detection.width; "
    "all analysis_fps together should not exceed sustainable_fps"
)

_LOG = structlog.get_logger(__name__)


class LoadMonitor:
    """The main thread calls ``measure`` once a second; any thread reads ``load``."""

    def __init__(self, *, pipeline: Pipeline, clock: Clock) -> None:
        """Start without an overload.

        Args:
            pipeline: The pipeline to watch.
            clock: Monotonic time.
        """
        self._pipeline = pipeline
        self._detector = OverloadDetector(clock=clock)

    @property
    def load(self) -> Load:
        """The load at the last measurement."""
        return self._detector.load

    def measure(self) -> None:
        """Measure, and log the begin or the end of an overload."""
        before = self._detector.load
        snapshot = self._pipeline.counters.snapshot()
        load = self._detector.update(
            wanted_fps={name: fps for name, fps in self._pipeline.cameras.demands().items() if snapshot.cameras_up.get(name, False)},
            published={camera: count for (camera, stage), count in snapshot.frames.items() if stage == "publishing"},
        )
        if load.overloaded and not before.overloaded:
            _LOG.warning("overloaded: the cameras ask for more frames than this machine can analyse", **_figures(load), advice=ADVICE)
        elif before.overloaded_s is not None and not load.overloaded:
            _LOG.info("no longer overloaded", seconds=round(before.overloaded_s), **_figures(load))


def _figures(load: Load) -> dict[str, object]:
    return {
        "wanted_fps": round(load.wanted_fps, 1),
        "sustainable_fps": round(load.served_fps, 1),
        "served_percent": round(100 * load.served_ratio),
    }
