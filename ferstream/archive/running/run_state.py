"""What a run of an archive has done so far: its report, and its progress. Used by the driver only."""

from __future__ import annotations

from collections.abc import Callable

from ferstream.archive.done_file import DoneRecording
from ferstream.archive.plan import Plan, PlannedRecording
from ferstream.archive.running.report import Named, RunReport, read_earlier, write_report
from ferstream.archive.running.run_hooks import RunProgress
from ferstream.archive.running.unfinished import planned_frames
from ferstream.archive.scheduling.scheduler import Scheduler
from ferstream.archive.storage.store import Store
from ferstream.archive.tasks import Done

REPORT_S = 60.0
"""Seconds between two writings of ``report.json`` while a run works."""


class RunState:
    """The numbers of one run, which goes on with those of the runs before."""

    def __init__(self, store: Store, plan: Plan, clock: Callable[[], float]) -> None:
        """Read what earlier runs reported.

        Args:
            store: The archive.
            plan: Its plan.
            clock: The time in seconds; does not go back.
        """
        earlier = read_earlier(store)
        self.report = RunReport(recordings=len(plan.recordings), left_out=plan.left_out, runs=earlier.runs + 1, hosts=earlier.hosts)
        self._store, self._plan, self._clock, self._earlier_s = store, plan, clock, earlier.seconds
        self._all_frames = sum(map(planned_frames, plan.recordings))
        self._closed_frames = 0
        self._measured_frames = 0
        self._began = self._reported = clock()
        self._first_ready: float | None = None
        self._seconds: dict[int, float] = {}  # by recording: how long workers had its tasks

    def recording(self, number: int) -> PlannedRecording:
        """Return a recording of the plan."""
        return self._plan.recordings[number]

    def add_recording(self, recording: PlannedRecording, done: DoneRecording) -> None:
        """Note a recording that is analysed, by this run or one before."""
        self.report.add(recording, done)
        self._closed_frames += planned_frames(recording)

    def add_failed(self, number: int, reason: str) -> None:
        """Note a recording that failed."""
        recording = self.recording(number)
        self._seconds.pop(number, None)
        self.report.failed.append(Named(number, recording.path, reason))
        self._closed_frames += planned_frames(recording)

    def add_ready(self) -> None:
        """Note that a worker is ready: the rate is measured from the first one on."""
        if self._first_ready is None:
            self._first_ready = self._clock()

    def add_result(self, number: int, outcome: Done, host: str) -> None:
        """Note the result of a task."""
        self.report.add_task(host, outcome.frames, outcome.seconds)
        self._measured_frames += outcome.frames
        self._seconds[number] = self._seconds.get(number, 0.0) + outcome.seconds

    def take_seconds(self, number: int) -> float:
        """Return how long workers had the tasks of a recording, and forget it."""
        return self._seconds.pop(number, 0.0)

    def progress(self, scheduler: Scheduler) -> RunProgress:
        """Return how far the run is."""
        frames = self._closed_frames + scheduler.done_frames
        elapsed = 0.0 if self._first_ready is None else self._clock() - self._first_ready
        rate = self._measured_frames / elapsed if elapsed else 0.0
        return RunProgress(
            frames=frames,
            all_frames=self._all_frames,
            recordings=self.report.analysed + len(self.report.failed),
            all_recordings=self.report.recordings,
            frames_per_s=rate,
            remaining_s=(self._all_frames - frames) / rate if rate else None,
            alive=scheduler.workers.alive,
            workers=scheduler.workers.count,
            retries=scheduler.counts.retries,
        )

    def write_now_and_then(self) -> None:
        """Write the report if the last one is old."""
        if self._clock() - self._reported > REPORT_S:
            self.write()

    def write(self) -> None:
        """Write the report.

        Raises:
            OutputError: It cannot be written.
        """
        self._reported = self._clock()
        self.report.seconds = self._earlier_s + self._reported - self._began
        write_report(self._store, self.report)
