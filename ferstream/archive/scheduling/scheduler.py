"""Decides which worker does what, as a state machine: no threads, no files, no clock but the times that it is given.

The driver passes on what workers report (``handle``), does what ``actions`` returns, and answers ``CheckSeams``. Recordings are taken from
an iterator when there is room for them and forgotten when they are closed, so the memory does not grow with the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from ferstream.archive.scheduling.actions import (
    Action,
    Counts,
    Limits,
    Notice,
    RecordingFailed,
    RecordingWork,
    StartWorker,
    StopWorker,
    Submit,
)
from ferstream.archive.scheduling.open_recording import Attempts, OpenRecording
from ferstream.archive.scheduling.open_recordings import OpenRecordings
from ferstream.archive.scheduling.stragglers import Pace
from ferstream.archive.scheduling.worker_states import WorkerStates
from ferstream.archive.tasks import Died, Differs, Done, Failed, Finished, Outcome, Ready, Report, Task
from ferstream.errors import ConfigError, DataError, OutputError, WorkerError


class Scheduler:
    """Gives tasks to workers until every recording is analysed or has failed. One thread."""

    def __init__(self, recordings: Iterable[RecordingWork], *, workers: int, limits: Limits | None = None, mixed: bool = False) -> None:
        """Nothing is started yet.

        Args:
            recordings: What is to be done, in the order in which it is begun; read when there is room.
            workers: Number of workers.
            limits: When tasks are repeated.
            mixed: Whether two workers may have different results for one chunk: the first is taken, with a notice.
        """
        self._limits = limits or Limits()
        self._open = OpenRecordings(recordings, self._limits.open_recordings or 2 * workers + 8)
        self._mixed = mixed
        self._obsolete: set[int] = set()
        self._pace = Pace(self._limits)
        self._next_hang_check = 0.0
        self._out: list[Action] = []
        self.workers = WorkerStates(workers, self._limits)
        """What each worker does."""
        self.counts = Counts()
        """What happened."""

    @property
    def is_finished(self) -> bool:
        """Whether every recording is closed."""
        return self._open.is_exhausted and not self._open

    @property
    def open_recordings(self) -> int:
        """Number of recordings that are worked at."""
        return len(self._open)

    @property
    def done_frames(self) -> int:
        """Number of pictures of open recordings whose results are there."""
        return sum(recording.done_frames for recording in self._open)

    # What happens

    def handle(self, report: Report, now: float) -> None:
        """Take a report of a worker.

        Args:
            report: The report.
            now: The time in seconds, of any clock that does not go back.

        Raises:
            FerstreamError: The run cannot go on: no task can succeed, no worker starts, or two results of one chunk differ.
        """
        match report:
            case Ready():
                self.workers.set_ready(report.worker, report.host)
            case Finished():
                self._on_finished(report, now)
            case Died():
                self._on_died(report, now)
            case _:
                assert_never(report)

    def refuse(self, worker: int, reason: str) -> None:
        """Stop a worker that has just started and never use it.

        Raises:
            ConfigError: No other worker is left.
        """
        self._out += [Notice(f"worker {worker} is refused: {reason}"), StopWorker(worker)]
        self.workers.refuse(worker, reason)
        if len(self.workers.unused) == self.workers.count:
            raise ConfigError(f"no worker can be used: {reason}")

    def close(self, recording: int) -> None:
        """Forget a recording, whose results fit together."""
        self._open.forget(self._open[recording])

    def read_whole(self, recording: int, reason: str) -> None:
        """Let a recording be read as a whole, whose chunks do not fit together."""
        self._turn_whole(self._open[recording], reason)

    def repeat_damaged(self, recording: int, chunks: Sequence[int]) -> None:
        """Let chunks be analysed again, whose files are damaged or gone."""
        opened = self._open[recording]
        for chunk in chunks:
            opened.drop_result(chunk)
            self._out.append(Notice(f"{opened.name(chunk)}: the file of its result is damaged; it is analysed again"))
        self._open.update(opened)

    # What is to be done

    def actions(self, now: float) -> list[Action]:
        """Return what is to be done now, in this order; it has been noted as done.

        Args:
            now: The time, as in ``handle``.
        """
        self._fail_hanging(now)
        self._stop_obsolete()
        self._open.release(now)
        self._assign(now)
        self._start(now)
        for recording in self._open:
            if recording.is_complete and not recording.is_checked:
                self._out.append(recording.check())
        done, self._out = self._out, []
        return done

    def due_at(self, now: float) -> float | None:
        """Return the next time at which there may be something to do without a report; None if nothing is.

        Args:
            now: The time, as in ``handle``.
        """
        times = [time for recording in self._open for time, _ in recording.delayed]
        if self._open.is_waiting and self.workers.next_start is not None:
            times.append(self.workers.next_start)
        if self._may_duplicate:
            times += [time for _, _, time in self._pace.overdue(self._open)]
        times += [self._next_hang_check] if self.workers.is_any_busy else []
        return min((time for time in times if time > now), default=None)

    # Reports

    def _on_finished(self, report: Finished, now: float) -> None:
        worker, task, outcome = report.worker, report.task, report.outcome
        self._raise_if_nothing_can_succeed(report)
        if self.workers.task(worker) != task:
            return  # of a worker that was stopped meanwhile
        self.workers.set_idle(worker)
        self._obsolete.discard(worker)
        recording = self._open.get(task.recording)
        if recording is None or recording.is_superfluous(task, outcome):
            return
        seconds = recording.take_back(task.chunk, worker, now)
        match outcome:
            case _ if task.chunk in recording.results:
                self._compare(recording, task, outcome, worker)
            case Done():
                self._on_result(recording, task, outcome, worker, seconds)
            case Differs():
                self._on_differs(recording, task, outcome)
            case Failed():
                self._on_failed(recording, task, outcome, now)
            case _:
                assert_never(outcome)

    def _raise_if_nothing_can_succeed(self, report: Finished) -> None:
        if isinstance(report.outcome, Failed) and report.outcome.stops_all:
            host = self.workers.hosts.get(report.worker, "its machine")
            raise OutputError(f"{report.outcome.reason} (worker {report.worker} on {host})")

    def _on_result(self, recording: OpenRecording, task: Task, outcome: Done, worker: int, seconds: float) -> None:
        recording.add_result(task.chunk, outcome.file, self.workers.hosts[worker])
        self._obsolete |= set(recording.running.pop(task.chunk, ()))
        self._pace.add(recording.frames[task.chunk], seconds)
        self.counts.finished += 1

    def _on_differs(self, recording: OpenRecording, task: Task, outcome: Differs) -> None:
        if task.is_whole:
            self._fail(recording, f"read as a whole, it still differs from the plan: {outcome.reason}")
        else:
            self._turn_whole(recording, outcome.reason)

    def _on_failed(self, recording: OpenRecording, task: Task, outcome: Failed, now: float) -> None:
        attempts = recording.attempts.setdefault(task.chunk, Attempts())
        attempts.failures += 1
        if outcome.is_final:
            self._fail(recording, outcome.reason)
        elif attempts.failures >= self._limits.failures:
            self._fail(recording, f"{outcome.reason} ({attempts.failures} attempts)")
        else:
            delay = self._limits.retry_s * 4.0 ** (attempts.failures - 1)
            self._repeat(recording, task, f"{outcome.reason}; again in {delay:.0f} s", now + delay)

    def _on_died(self, report: Died, now: float) -> None:
        worker = report.worker
        if report.is_crash:
            self.counts.crashes += 1
        else:
            self.counts.deaths += 1
        if self.workers.is_starting(worker):
            self._on_failed_start(report, now)
            return
        task = self.workers.task(worker)
        self.workers.set_off(worker)
        if worker in self._obsolete or task is None:
            self._obsolete.discard(worker)
            return
        recording = self._open[task.recording]
        recording.take_back(task.chunk, worker, now)
        self._on_lost_worker(recording, task, report)

    def _on_lost_worker(self, recording: OpenRecording, task: Task, report: Died) -> None:
        attempts = recording.attempts.setdefault(task.chunk, Attempts())
        attempts.crashes += report.is_crash
        attempts.deaths += not report.is_crash
        if attempts.crashes >= self._limits.crashes:
            self._fail(recording, f"{attempts.crashes} workers crashed at it: {report.reason}")
        elif attempts.deaths >= self._limits.deaths:
            self._fail(recording, f"{attempts.deaths} workers ended at it: {report.reason}")
        else:
            self._repeat(recording, task, f"worker {report.worker} {report.reason}")

    def _on_failed_start(self, report: Died, now: float) -> None:
        if self.workers.start_failed(report.worker, report.reason, now, is_crash=report.is_crash):
            return
        self._out.append(Notice(f"worker {report.worker} does not start and is not used any more: {report.reason}"))
        if len(self.workers.unused) == self.workers.count:
            raise WorkerError(f"no worker starts: {report.reason}")

    # Recordings

    def _repeat(self, recording: OpenRecording, task: Task, reason: str, not_before: float | None = None) -> None:
        if recording.repeat(task.chunk, not_before):
            self.counts.retries += 1
            self._out.append(Notice(f"{recording.name(task.chunk)}: {reason}"))
            self._open.update(recording)

    def _compare(self, recording: OpenRecording, task: Task, outcome: Outcome, worker: int) -> None:
        """Compare the result of the second worker of a task with that of the first."""
        if not isinstance(outcome, Done) or outcome.file == recording.results[task.chunk]:
            return
        first, second = recording.hosts.get(task.chunk, "an earlier run"), self.workers.hosts[worker]
        text = (
            f"{recording.name(task.chunk)}: {first} and {second} have different results ({recording.results[task.chunk]}, {outcome.file}); "
            "the machines do not compute the same"
        )
        if not self._mixed:
            raise DataError(text)
        self._out.append(Notice(text))

    def _turn_whole(self, recording: OpenRecording, reason: str) -> None:
        self._drop_running(recording)
        recording.turn_whole(reason)
        self.counts.whole += 1
        self._out.append(Notice(f"{recording.title} is read as a whole: {reason}"))
        self._open.update(recording)

    def _fail(self, recording: OpenRecording, reason: str) -> None:
        self._drop_running(recording)
        self._open.forget(recording)
        self.counts.failed += 1
        self._out.append(RecordingFailed(recording.number, reason))

    def _drop_running(self, recording: OpenRecording) -> None:
        for workers in recording.running.values():
            self._obsolete |= set(workers)

    # Workers

    def _stop_obsolete(self) -> None:
        for worker in sorted(self._obsolete):
            self.workers.set_off(worker)
            self._out.append(StopWorker(worker))
        self._obsolete.clear()

    def _fail_hanging(self, now: float) -> None:
        """Count chunks that take far too long as failed, and let their workers be stopped."""
        if now < self._next_hang_check:
            return
        self._next_hang_check = now + self._limits.hang_s / 10
        for recording, chunk, time in self._pace.hanging(self._open):
            if time <= now and chunk in recording.running and self._open.get(recording.number) is recording:
                task = Task(recording.number, chunk)
                workers = set(recording.running.pop(chunk))
                self._obsolete |= workers
                self._on_failed(recording, task, Failed("takes far longer than its length and the measured rate say"), now)

    def _assign(self, now: float) -> None:
        """Give tasks to the workers that have none."""
        for worker in self.workers.idle:
            recording = self._open.waiting_for(self.workers.last.get(worker))
            if recording is None:
                break
            self._submit(worker, recording.give(worker, now))
            self._open.update(recording)
        if self._may_duplicate and self.workers.has_idle:
            self._duplicate(now)

    @property
    def _may_duplicate(self) -> bool:
        """Whether workers have nothing to do but what others do already."""
        return self._open.is_exhausted and not self._open.is_waiting and (self.workers.has_idle or self.workers.off > 0)

    def _duplicate(self, now: float) -> None:
        """Give the tasks that take long to second workers; those most over their time first."""
        late = [item for item in self._pace.overdue(self._open) if item[2] <= now]
        for recording, chunk, _ in sorted(late, key=lambda item: item[2]):
            worker = self.workers.idle_elsewhere(next(iter(recording.running[chunk])))
            if worker is None:
                return
            self._submit(worker, recording.give_again(chunk, worker, now))
            self.counts.duplicates += 1

    def _submit(self, worker: int, task: Task) -> None:
        self.workers.assign(worker, task)
        self.counts.submitted += 1
        self._out.append(Submit(worker, task))

    def _start(self, now: float) -> None:
        """Start as many workers as there are chunks to give or tasks that need a second worker."""
        startable = self.workers.startable(now)
        wanted = self._demand(len(startable) + self.workers.starting, now) - self.workers.starting
        for worker in startable[: max(0, wanted)]:
            self.workers.start(worker)
            self._out.append(StartWorker(worker))

    def _demand(self, enough: int, now: float) -> int:
        """Return how many more workers would have something to do, at most about ``enough``; opens recordings to know."""
        count = self._open.waiting_chunks
        while count < max(1, enough):
            opened = self._open.open_next()
            if opened is None:
                break
            count += len(opened.waiting)
        if not count and self._may_duplicate and not self.workers.has_idle:
            count = sum(time <= now for _, _, time in self._pace.overdue(self._open))
        return count
