"""How long tasks take, and which ones take longer than that. Used by the scheduler only."""

from __future__ import annotations

from collections.abc import Iterable

from ferstream.archive.plan import WHOLE
from ferstream.archive.scheduling.actions import Limits
from ferstream.archive.scheduling.open_recording import OpenRecording

MOST_WORKERS = 3
"""Workers that have the same task at a time: the second one may be slow too."""

Late = tuple[OpenRecording, int, float]
"""A recording, the number of a chunk, and the time at which it is late."""


class Pace:
    """The measured rate of the workers."""

    def __init__(self, limits: Limits) -> None:
        """Nothing is measured yet.

        Args:
            limits: When a task is late.
        """
        self._limits = limits
        self._frames = self._seconds = 0.0
        self._tasks = 0

    def add(self, frames: int, seconds: float) -> None:
        """Add a task that gave a result.

        Args:
            frames: Number of pictures in the plan.
            seconds: How long its worker had it.
        """
        self._tasks += 1
        self._frames += frames
        self._seconds += seconds

    def expected_s(self, frames: int) -> float | None:
        """Return how many seconds a task should take; None as long as nothing is measured.

        Args:
            frames: Number of pictures; 0 if unknown.
        """
        if not self._tasks:
            return None
        if not frames or not self._frames:
            return self._seconds / self._tasks
        return self._seconds * frames / self._frames

    def overdue(self, recordings: Iterable[OpenRecording]) -> list[Late]:
        """Return the tasks that run, each with the time at which it should have another worker; not those that have enough of them."""
        return [
            (recording, chunk, max(workers.values()) + max(self._limits.straggler_s, self._limits.straggler * expected))
            for recording in recordings
            for chunk, workers in recording.running.items()
            if len(workers) < MOST_WORKERS and (expected := self.expected_s(recording.frames[chunk])) is not None
        ]

    def hanging(self, recordings: Iterable[OpenRecording]) -> list[Late]:
        """Return the chunks that run, each with the time at which it counts as failed.

        Each further attempt may take four times as long: large pictures take much longer than those from which the rate was measured.
        As long as nothing is measured, it is the least time: the first chunk may be the one that hangs.
        """
        return [
            (recording, chunk, max(workers.values()) + self._longest_s(recording, chunk))
            for recording in recordings
            for chunk, workers in recording.running.items()
            if chunk != WHOLE
        ]

    def _longest_s(self, recording: OpenRecording, chunk: int) -> float:
        expected = self.expected_s(recording.frames[chunk]) or 0.0
        return float(max(self._limits.hang_s, self._limits.hang * expected) * 4.0 ** recording.failures(chunk))
