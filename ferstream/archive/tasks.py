"""What the scheduler and its workers say to each other: tasks, their outcomes, and the Protocol of a group of workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from ferstream.archive.plan import WHOLE


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """One chunk to analyse.

    Attributes:
        recording: Number of the recording in the plan.
        chunk: Number of the chunk in the recording; ``WHOLE`` for all of it.
    """

    recording: int
    chunk: int

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole recording."""
        return self.chunk == WHOLE


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a chunk is in the store.

    Attributes:
        file: Its name in the store.
        frames: Pictures that were decoded.
        faces: Faces that were found.
        lost: Frames that were damaged or missing, as ``replay`` counts them; 0 for a chunk that is not a whole recording.
        seconds: How long it took.
    """

    file: str
    frames: int
    faces: int
    lost: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Differs:
    """The pictures of a chunk are not those of the plan: the recording must be read as a whole.

    Attributes:
        reason: What differs, in plain words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The chunk could not be analysed.

    Attributes:
        reason: Why, one line.
        is_final: Whether another attempt would fail too: the file is gone, changed or cannot be read.
        stops_all: Whether no other task can succeed either: the disk is full, the model cannot be loaded.
    """

    reason: str
    is_final: bool = False
    stops_all: bool = False


Outcome = Done | Differs | Failed


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has loaded its models and waits for a task.

    Attributes:
        worker: Number of the worker.
        machine: Precision and versions of its machine; see ``machine.py``.
        host: Name of its machine, for people.
    """

    worker: int
    machine: Mapping[str, str]
    host: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker has ended a task.

    Attributes:
        worker: Number of the worker.
        task: The task.
        outcome: What came of it.
    """

    worker: int
    task: Task
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone, with the task that it had.

    Attributes:
        worker: Number of the worker.
        reason: How it ended, in plain words, such as "killed by SIGKILL".
        is_crash: Whether the program itself failed (SIGSEGV, SIGABRT, ...), for which the task may be the cause. A kill from outside, a
            lost machine, or a lack of memory are no crash.
    """

    worker: int
    reason: str
    is_crash: bool


Report = Ready | Finished | Died


class Workers(Protocol):
    """A group of workers with one task each at a time; one thread calls it. Used as a context, which ends all workers."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    @property
    def count(self) -> int:
        """Number of workers; they are numbered from 0."""
        ...

    def start(self, worker: int) -> None:
        """Start a worker, or start it again after ``Died`` or ``stop``; ``Ready`` is reported when it has loaded its models."""
        ...

    def submit(self, worker: int, task: Task) -> None:
        """Give a task to a worker that is ready."""
        ...

    def stop(self, worker: int) -> None:
        """End a worker at once, with what it does; nothing is reported for it any more."""
        ...

    def wait(self, timeout_s: float) -> list[Report]:
        """Return what has happened; waits up to ``timeout_s`` seconds for the first report, and may return none."""
        ...
