"""A recording that is worked at: which of its chunks wait, run, or are done. Used by the scheduler only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ferstream.archive.plan import WHOLE
from ferstream.archive.scheduling.actions import CheckSeams, RecordingWork
from ferstream.archive.tasks import Done, Outcome, Task


@dataclass(slots=True)
class Attempts:
    """Attempts at one chunk that gave no result."""

    crashes: int = 0
    failures: int = 0
    deaths: int = 0


class OpenRecording:
    """The chunks of one recording."""

    def __init__(self, work: RecordingWork) -> None:
        """Nothing runs yet.

        Args:
            work: What is to be done. A result of the whole recording makes those of its chunks superfluous.
        """
        self.number = work.number
        self.title = work.title
        """Its name for people."""
        self.frames = dict(work.frames)
        """Number of pictures by number of chunk, in order."""
        self.results = {chunk: file for chunk, file in work.results.items() if chunk in work.frames}
        """Files of results by number of chunk."""
        self.hosts: dict[int, str] = {}
        """Names of the machines that made the results, as far as this run made them."""
        self.attempts: dict[int, Attempts] = {}
        self.delayed: list[tuple[float, int]] = []
        """Chunks to be repeated, and the time before which they are not."""
        self.running: dict[int, dict[int, float]] = {}
        """By number of chunk: its workers, and when each got it."""
        self.whole_reason = ""
        """Why a divided recording is read as a whole."""
        self.is_checked = False
        """Whether the check of its seams has been asked for."""
        self.superfluous: list[str] = []
        """Files of results that are not used, because it is read as a whole."""
        if WHOLE in work.results and WHOLE not in self.frames:
            self._become_whole("its chunks did not fit together or to the plan, as an earlier run found")
            self.results = {WHOLE: work.results[WHOLE]}
        self.waiting = deque(chunk for chunk in self.frames if chunk not in self.results)
        """Chunks that may be given to workers, in order."""

    @property
    def is_whole(self) -> bool:
        """Whether it is read from its beginning to its end by one worker."""
        return WHOLE in self.frames

    @property
    def is_complete(self) -> bool:
        """Whether all results are there."""
        return len(self.results) == len(self.frames)

    @property
    def done_frames(self) -> int:
        """Number of pictures whose results are there."""
        return sum(self.frames[chunk] for chunk in self.results)

    def failures(self, chunk: int) -> int:
        """Return how many attempts at a chunk have failed."""
        return self.attempts[chunk].failures if chunk in self.attempts else 0

    def check(self) -> CheckSeams:
        """Return the check of its results, which has been asked for from now on."""
        self.is_checked = True
        files = {chunk: self.results[chunk] for chunk in self.frames}
        return CheckSeams(self.number, files, self.whole_reason, tuple(self.superfluous))

    def name(self, chunk: int) -> str:
        """Return the name of a chunk for people."""
        return self.title if chunk == WHOLE else f"{self.title}, chunk {chunk}"

    def give(self, worker: int, now: float) -> Task:
        """Return the next chunk, which a worker has from now on."""
        chunk = self.waiting.popleft()
        self.running.setdefault(chunk, {})[worker] = now
        return Task(self.number, chunk)

    def give_again(self, chunk: int, worker: int, now: float) -> Task:
        """Return a chunk that another worker has too."""
        self.running[chunk][worker] = now
        return Task(self.number, chunk)

    def take_back(self, chunk: int, worker: int, now: float) -> float:
        """Note that a worker does not have a chunk any more; return how many seconds it had it."""
        workers = self.running.get(chunk, {})
        since = workers.pop(worker, now)
        if not workers:
            self.running.pop(chunk, None)
        return now - since

    def repeat(self, chunk: int, not_before: float | None = None) -> bool:
        """Let a chunk be given again, unless another worker has it; return whether it will be.

        Args:
            chunk: Its number.
            not_before: The time from which it may be given; None for now.
        """
        if chunk in self.running or chunk in self.results:
            return False
        if not_before is None:
            self.waiting.appendleft(chunk)
        else:
            self.delayed.append((not_before, chunk))
        return True

    def release(self, now: float) -> None:
        """Let those delayed chunks be given whose time has come."""
        due = [chunk for not_before, chunk in self.delayed if not_before <= now]
        self.delayed = [item for item in self.delayed if item[0] > now]
        self.waiting.extendleft(sorted(due, reverse=True))

    def add_result(self, chunk: int, file: str, host: str) -> None:
        """Note the result of a chunk."""
        self.results[chunk] = file
        self.hosts[chunk] = host

    def is_superfluous(self, task: Task, outcome: Outcome) -> bool:
        """Return whether a task is that of a chunk although it is read as a whole meanwhile; note its result, to be removed."""
        if task.chunk in self.frames:
            return False
        if isinstance(outcome, Done):
            self.superfluous.append(outcome.file)
        return True

    def drop_result(self, chunk: int) -> None:
        """Let a chunk be analysed again, whose result is damaged."""
        if self.results.pop(chunk, None) is not None:
            self.waiting.append(chunk)
        self.is_checked = False

    def turn_whole(self, reason: str) -> None:
        """Let it be read as a whole; what its chunks gave is not used."""
        self._become_whole(reason)
        self.waiting = deque([WHOLE])

    def _become_whole(self, reason: str) -> None:
        self.frames = {WHOLE: sum(self.frames.values())}
        self.superfluous += self.results.values()
        self.results, self.hosts, self.attempts, self.running, self.delayed = {}, {}, {}, {}, []
        self.whole_reason, self.is_checked = reason, False
