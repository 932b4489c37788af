"""What the scheduler is told, what it asks its driver to do, and its limits. Immutable values, apart from the counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferstream.archive.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingWork:
    """A recording that is not analysed yet.

    Attributes:
        number: Its number in the plan.
        title: Its name for people.
        frames: Number of pictures by number of chunk, in order; ``WHOLE`` alone for a recording that is not divided. 0 is unknown.
        results: Files of the chunks that an earlier run has analysed, by number of chunk.
    """

    number: int
    title: str
    frames: Mapping[int, int]
    results: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When the scheduler repeats a task, and when it stops to do so.

    Attributes:
        crashes: Crashes of workers at one task, after which its recording fails.
        failures: Failed attempts at one task, after which its recording fails.
        deaths: Workers that ended at one task from outside (killed, machine lost), after which its recording fails.
        starts: Crashes of one worker before it was ready, one after the other, after which it is not started again.
        killed_starts: The same for ends from outside (killed, machine lost).
        retry_s: Seconds until the second attempt after a failure; four times as long before each further one.
        restart_s: Seconds until a worker is started again that ended before it was ready; doubled each time, at most 5.
        straggler: A task that takes longer than so many times what is expected is given to another worker too, if nothing else is left.
        straggler_s: Seconds that such a task takes at least.
        hang: A chunk that takes longer than so many times what is expected has failed; its worker is stopped. Four times as long for
            each further attempt. Not for whole recordings, whose length is an estimate.
        hang_s: Seconds that such a chunk takes at least.
        open_recordings: Most recordings that are worked at; None for twice the number of workers and 8.
    """

    crashes: int = 3
    failures: int = 3
    deaths: int = 60
    starts: int = 6
    killed_starts: int = 60
    retry_s: float = 2.0
    restart_s: float = 0.25
    straggler: float = 2.0
    straggler_s: float = 5.0
    hang: float = 20.0
    hang_s: float = 900.0
    open_recordings: int | None = None


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker, or start it again."""

    worker: int


@dataclass(frozen=True, slots=True)
class StopWorker:
    """End a worker with what it does."""

    worker: int


@dataclass(frozen=True, slots=True)
class Submit:
    """Give a task to a worker."""

    worker: int
    task: Task


@dataclass(frozen=True, slots=True)
class CheckSeams:
    """All results of a recording are there: check whether they fit together, and answer with ``Scheduler.close`` or another.

    Attributes:
        recording: Its number.
        files: The results by number of chunk, in order.
        reason: Why a divided recording was read as a whole; empty if it was not.
        superfluous: Files of its chunks that are not used, because it was read as a whole.
    """

    recording: int
    files: Mapping[int, str]
    reason: str
    superfluous: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """A recording cannot be analysed; the others can.

    Attributes:
        recording: Its number.
        reason: Why, in plain words.
    """

    recording: int
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people want to know.

    Attributes:
        text: One line.
    """

    text: str


Action = StartWorker | StopWorker | Submit | CheckSeams | RecordingFailed | Notice


@dataclass(slots=True)
class Counts:
    """What happened in a run.

    Attributes:
        submitted: Tasks that were given to workers, repeated ones included.
        finished: Results that were taken.
        retries: Attempts after one that failed, crashed, or lost its worker.
        crashes: Workers that crashed.
        deaths: Workers that ended in another way than by a crash or by order.
        duplicates: Tasks that were given to another worker too because they took long.
        whole: Divided recordings that had to be read as a whole.
        failed: Recordings that failed.
    """

    submitted: int = 0
    finished: int = 0
    retries: int = 0
    crashes: int = 0
    deaths: int = 0
    duplicates: int = 0
    whole: int = 0
    failed: int = 0
