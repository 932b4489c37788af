"""The run of an archive: gives the chunks of a plan to workers until all recordings are analysed. One thread.

What is in the store says what is done, so that the same call goes on wherever a run was stopped or killed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import assert_never

from ferstream.archive.done_file import DoneRecording, write_done, write_failed
from ferstream.archive.machine import difference
from ferstream.archive.plan import WHOLE, Plan
from ferstream.archive.plan_file import read_plan
from ferstream.archive.running import seams
from ferstream.archive.running.report import RunReport
from ferstream.archive.running.result_check import SeamFault, check_results
from ferstream.archive.running.run_hooks import RunHooks
from ferstream.archive.running.run_state import RunState
from ferstream.archive.running.unfinished import Unfinished
from ferstream.archive.scheduling.actions import Action, CheckSeams, Limits, Notice, RecordingFailed, StartWorker, StopWorker, Submit
from ferstream.archive.scheduling.scheduler import Scheduler
from ferstream.archive.storage.lock import locked
from ferstream.archive.storage.store import Store
from ferstream.archive.tasks import Done, Finished, Ready, Report, Workers
from ferstream.errors import FerstreamError, FramesLostError, OutputError, first_line

WAIT_S = 0.25
"""Longest wait for workers between two looks at ``stop``."""
MOST_DAMAGED = 5
"""Results of one recording that may be damaged when they are read back; a store that damages more is not usable."""


def run_archive(
    store: Store,
    *,
    workers: Workers,
    hooks: RunHooks | None = None,
    mixed: bool = False,
    stop: threading.Event | None = None,
    limits: Limits | None = None,
    seam_fault: SeamFault | None = None,
) -> RunReport:
    """Analyse what is not analysed yet of a planned archive.

    Args:
        store: The archive.
        workers: The workers; they are started here, and ended.
        hooks: What is reported.
        mixed: Whether machines may compute other digits than that which made the plan.
        stop: Ends the run when it is set; any thread may set it.
        limits: When tasks are repeated; None for the usual limits.
        seam_fault: Compares the results of two consecutive chunks; None for ``seams.seam_fault``.

    Raises:
        ConfigError: There is no plan, another process works at the archive, or no machine fits to the plan.
        DataError: Two machines have different results for one chunk.
        FramesLostError: It was stopped before its end; the same call goes on.
        FerstreamError: It cannot go on: the disk is full, no worker starts. The same call goes on when that is repaired.
    """
    plan = read_plan(store)
    with locked(store):
        run = _Run(store, plan, hooks or RunHooks(), seam_fault or seams.seam_fault, mixed=mixed)
        with run.reporting():
            run.run(workers, stop or threading.Event(), limits)
        return run.state.report


class _Run:
    """One run."""

    def __init__(self, store: Store, plan: Plan, hooks: RunHooks, seam_fault: SeamFault, *, mixed: bool) -> None:
        self.state = RunState(store, plan, time.monotonic)
        self._store, self._plan, self._hooks, self._seam_fault, self._mixed = store, plan, hooks, seam_fault, mixed
        self._damaged: dict[int, int] = {}  # by recording: results that were damaged
        self._noted_hosts: set[str] = set()

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Write the report at the end of the context, also after an error."""
        try:
            yield
        except BaseException as exc:
            self.state.report.error = first_line(exc) if isinstance(exc, FerstreamError) else type(exc).__name__
            with contextlib.suppress(OutputError):  # the disk may be full, and the first error says more
                self.state.write()
            raise
        self.state.write()

    def run(self, workers: Workers, stop: threading.Event, limits: Limits | None) -> None:
        """Work until all recordings are analysed or have failed."""
        unfinished = Unfinished(self._store, self._plan, on_done=self.state.add_recording, mixed=self._mixed)
        scheduler = Scheduler(unfinished.works(), workers=workers.count, limits=limits, mixed=self._mixed)
        self.state.report.counts = scheduler.counts
        with workers:
            self._act(scheduler, workers)
            while not scheduler.is_finished:
                if stop.is_set():
                    raise FramesLostError(self._stopped_text())
                for report in workers.wait(_patience(scheduler)):
                    self._on_report(scheduler, report)
                self._act(scheduler, workers)
                self._hooks.on_progress(self.state.progress(scheduler))
                self.state.write_now_and_then()

    def _stopped_text(self) -> str:
        report = self.state.report
        return f"stopped: {report.analysed} of {report.recordings} recordings are analysed; the same command goes on"

    def _on_report(self, scheduler: Scheduler, report: Report) -> None:
        if isinstance(report, Ready):
            fault = difference(self._plan.machine, report.machine)
            if fault and not self._mixed:
                scheduler.refuse(report.worker, f"{report.host} is not as the machine of the plan: {fault}")
                return
            if fault and report.host not in self._noted_hosts:
                self._noted_hosts.add(report.host)
                self._hooks.on_notice(f"{report.host} is not as the machine of the plan, its results may differ: {fault}")
            self.state.add_ready()
        scheduler.handle(report, time.monotonic())
        if isinstance(report, Finished) and isinstance(report.outcome, Done):
            self.state.add_result(report.task.recording, report.outcome, scheduler.workers.hosts.get(report.worker, "unknown"))

    def _act(self, scheduler: Scheduler, workers: Workers) -> None:
        """Do what the scheduler asks for, until it asks for nothing more."""
        while actions := scheduler.actions(time.monotonic()):
            for action in actions:
                self._do(action, scheduler, workers)

    def _do(self, action: Action, scheduler: Scheduler, workers: Workers) -> None:
        match action:
            case StartWorker():
                workers.start(action.worker)
            case StopWorker():
                workers.stop(action.worker)
            case Submit():
                workers.submit(action.worker, action.task)
            case CheckSeams():
                self._check(action, scheduler)
            case RecordingFailed():
                write_failed(self._store, action.recording, action.reason)
                self.state.add_failed(action.recording, action.reason)
                self._hooks.on_notice(f"{self.state.recording(action.recording).source} FAILED: {action.reason}")
            case Notice():
                self._hooks.on_notice(action.text)
            case _:
                assert_never(action)

    def _check(self, check: CheckSeams, scheduler: Scheduler) -> None:
        """Check the results of a recording, and write that it is done if they fit together."""
        checked = check_results(self._store, check.files, self._seam_fault)
        if checked.damaged:
            self._repeat_damaged(check, checked.damaged, scheduler)
        elif checked.fault:
            scheduler.read_whole(check.recording, checked.fault)
        else:
            recording = self.state.recording(check.recording)
            done = DoneRecording(
                files=tuple(check.files.values()),
                whole=WHOLE in check.files,
                reason=check.reason or recording.undivided,
                frames=checked.frames,
                faces=checked.faces,
                lost=checked.lost,
                seconds=round(self.state.take_seconds(check.recording), 3),
                size=checked.size,
            )
            write_done(self._store, check.recording, done)
            self.state.add_recording(recording, done)
            scheduler.close(check.recording)
            for name in check.superfluous:
                self._store.remove(name)

    def _repeat_damaged(self, check: CheckSeams, chunks: list[int], scheduler: Scheduler) -> None:
        count = self._damaged[check.recording] = self._damaged.get(check.recording, 0) + 1
        if count > MOST_DAMAGED:
            raise OutputError(f"{self._store.where}: {check.files[chunks[0]]} is damaged again and again when it is read back")
        for chunk in chunks:
            self._store.remove(check.files[chunk])
        scheduler.repeat_damaged(check.recording, chunks)


def _patience(scheduler: Scheduler) -> float:
    """Return how many seconds to wait for workers."""
    now = time.monotonic()
    due = scheduler.due_at(now)
    return WAIT_S if due is None else max(0.0, min(WAIT_S, due - now))
