"""Workers of an archive in virtual time: they do nothing but take time, fail and die, as a script says. Drives the real scheduler."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ferstream.archive.plan import WHOLE
from ferstream.archive.scheduling.actions import CheckSeams, Limits, Notice, RecordingFailed, RecordingWork, StartWorker, StopWorker, Submit
from ferstream.archive.scheduling.scheduler import Scheduler
from ferstream.archive.tasks import Died, Differs, Done, Failed, Finished, Ready, Report, Task

T = TypeVar("T")
MOST_STEPS = 1_000_000
"""Times at which something happens in the longest simulation: none of them may go on for ever."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one attempt.

    Attributes:
        kind: ``done``, ``died``, ``crashed``, ``failed``, ``gone`` (fails for good), ``differs`` or ``hangs``.
        slower: How many times as long as usual it takes.
        digest: End of the name of the result.
    """

    kind: str = "done"
    slower: float = 1.0
    digest: str = "0" * 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens in a simulation.

    Attributes:
        fate: Called with a task and the number of its attempt, from 0.
        start: Called with a worker and the number of its start: how it ends before it is ready; empty if it becomes ready.
        check: Called with what is to be checked: ``""`` (good), ``"damaged"`` (its first file), or why it must be read as a whole.
        load_s: Seconds until a worker is ready.
        frames_per_s: Rate of a worker.
        host: Name of the machine of a worker.
    """

    fate: Callable[[Task, int], Fate] = lambda task, attempt: Fate()
    start: Callable[[int, int], str] = lambda worker, count: ""
    check: Callable[[CheckSeams], str] = lambda check: ""
    load_s: float = 3.0
    frames_per_s: float = 100.0
    host: Callable[[int], str] = lambda worker: f"host-{worker // 16}"


@dataclass(slots=True)
class Result:
    """What came of a simulation.

    Attributes:
        closed: Files by number of chunk, by recording.
        failed: Why recordings failed.
        notices: Lines for people.
        submitted: How often each task was given to a worker.
        most_open: Most recordings that were open at a time.
        seconds: Virtual time from the first start to the end.
        busy_s: Virtual time that workers spent with tasks, added up.
        scheduler_s: CPU time of the scheduler.
    """

    closed: dict[int, Mapping[int, str]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    submitted: dict[Task, int] = field(default_factory=dict)
    most_open: int = 0
    seconds: float = 0.0
    busy_s: float = 0.0
    scheduler_s: float = 0.0


class Simulation:
    """A scheduler with simulated workers."""

    def __init__(
        self,
        recordings: Iterable[RecordingWork],
        *,
        workers: int,
        script: Script | None = None,
        limits: Limits | None = None,
        mixed: bool = False,
    ) -> None:
        self.scheduler = Scheduler(self._noted(recordings), workers=workers, limits=limits, mixed=mixed)
        self.result = Result()
        self.now = 0.0
        self._script = script or Script()
        self._frames: dict[int, Mapping[int, int]] = {}
        self._events: list[tuple[float, int, int, Report]] = []
        self._sequence = itertools.count()
        self._life = [0] * workers
        self._starts = [0] * workers
        self._given: dict[int, float] = {}

    def run(self) -> Result:
        """Run to the end.

        Raises:
            AssertionError: Nothing happens any more, or the scheduler does what it must not.
        """
        for _ in range(MOST_STEPS):
            while self._act():
                pass
            if self._timed(lambda: self.scheduler.is_finished):
                self.result.seconds = self.now
                return self.result
            self._go_on()
        raise AssertionError(f"no end at {self.now}: {self.scheduler.open_recordings} recordings are open")

    def _go_on(self) -> None:
        """Go to the next time at which something happens."""
        while self._events and self._events[0][2] != self._life[self._events[0][3].worker]:
            heapq.heappop(self._events)  # of a worker that was stopped
        due = self._timed(lambda: self.scheduler.due_at(self.now))
        times = [self._events[0][0]] if self._events else []
        times += [due] if due is not None else []
        assert times, f"deadlock at {self.now}: {self.scheduler.open_recordings} recordings are open"
        self.now = min(times)
        while self._events and self._events[0][0] <= self.now:
            _, _, life, report = heapq.heappop(self._events)
            if life == self._life[report.worker]:
                if not isinstance(report, Ready):
                    self._end_task(report.worker)
                if isinstance(report, Died):
                    self._life[report.worker] += 1
                self._timed(lambda report=report: self.scheduler.handle(report, self.now))  # type: ignore[misc]

    def _act(self) -> bool:
        actions = self._timed(lambda: self.scheduler.actions(self.now))
        self.result.most_open = max(self.result.most_open, self.scheduler.open_recordings)
        for action in actions:
            match action:
                case StartWorker():
                    self._start(action.worker)
                case StopWorker():
                    self._life[action.worker] += 1
                    self._end_task(action.worker)
                case Submit():
                    self._submit(action.worker, action.task)
                case CheckSeams():
                    self._check(action)
                case RecordingFailed():
                    assert action.recording not in self.result.failed.keys() | self.result.closed.keys()
                    self.result.failed[action.recording] = action.reason
                    self._frames.pop(action.recording)
                case Notice():
                    self.result.notices.append(action.text)
        return bool(actions)

    def _start(self, worker: int) -> None:
        ending = self._script.start(worker, self._starts[worker])
        self._starts[worker] += 1
        report = Died(worker, ending, is_crash=not ending.startswith("killed")) if ending else Ready(worker, {}, self._script.host(worker))
        self._plan(worker, self._script.load_s, report)

    def _submit(self, worker: int, task: Task) -> None:
        assert worker not in self._given, f"worker {worker} has a task already"
        self._given[worker] = self.now
        attempt = self.result.submitted[task] = self.result.submitted.get(task, 0) + 1
        fate = self._script.fate(task, attempt - 1)
        frames = self._frames[task.recording]
        count = sum(frames.values()) if task.chunk == WHOLE else frames[task.chunk]
        if fate.kind != "hangs":
            self._plan(worker, count / self._script.frames_per_s * fate.slower, _report(worker, task, fate, count))

    def _check(self, check: CheckSeams) -> None:
        assert check.recording not in self.result.failed.keys() | self.result.closed.keys()
        answer = self._script.check(check)
        if answer == "damaged":
            first = next(iter(check.files))
            self._timed(lambda: self.scheduler.repeat_damaged(check.recording, [first]))
        elif answer:
            self._timed(lambda: self.scheduler.read_whole(check.recording, answer))
        else:
            self._timed(lambda: self.scheduler.close(check.recording))
            self.result.closed[check.recording] = check.files
            self._frames.pop(check.recording)

    def _plan(self, worker: int, delay: float, report: Report) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._sequence), self._life[worker], report))

    def _end_task(self, worker: int) -> None:
        self.result.busy_s += self.now - self._given.pop(worker, self.now)

    def _noted(self, recordings: Iterable[RecordingWork]) -> Iterable[RecordingWork]:
        for work in recordings:
            self._frames[work.number] = work.frames
            yield work

    def _timed(self, call: Callable[[], T]) -> T:
        began = time.process_time()
        try:
            return call()
        finally:
            self.result.scheduler_s += time.process_time() - began


def _report(worker: int, task: Task, fate: Fate, frames: int) -> Report:
    """Return what a worker reports at the end of an attempt."""
    match fate.kind:
        case "died" | "crashed":
            return Died(worker, "was killed by SIGKILL" if fate.kind == "died" else "crashed", is_crash=fate.kind == "crashed")
        case "differs":
            return Finished(worker, task, Differs("other pictures"))
        case "failed" | "gone":
            return Finished(worker, task, Failed(fate.kind, is_final=fate.kind == "gone"))
        case _:
            chunk = "whole" if task.is_whole else f"{task.chunk:05d}"
            return Finished(worker, task, Done(f"chunks/{task.recording:06d}-{chunk}-{fate.digest}.npz", frames, 0, 0, 1.0))
