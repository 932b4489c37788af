"""What each worker does: off, starting, idle, busy, or not used any more. Used by the scheduler only."""

from __future__ import annotations

from ferstream.archive.scheduling.actions import Limits
from ferstream.archive.tasks import Task

LONGEST_RESTART_S = 5.0


class WorkerStates:
    """The states of all workers, which are numbered from 0."""

    def __init__(self, count: int, limits: Limits) -> None:
        """All workers are off.

        Args:
            count: Number of workers.
            limits: How often one is started.
        """
        self.count, self._limits = count, limits
        self._off: dict[int, float] = dict.fromkeys(range(count), 0.0)  # worker -> time before which it is not started
        self._starting: set[int] = set()
        self._idle: set[int] = set()
        self._busy: dict[int, Task] = {}
        self._unused: dict[int, str] = {}  # worker -> why
        self._failed_starts: dict[tuple[int, bool], int] = {}  # by worker, and whether it crashed
        self.last: dict[int, int] = {}
        """The recording that a worker had last."""
        self.hosts: dict[int, str] = {}
        """Name of the machine of a worker."""

    @property
    def alive(self) -> int:
        """Number of workers that are ready, busy or not."""
        return len(self._idle) + len(self._busy)

    @property
    def starting(self) -> int:
        """Number of workers that load their models."""
        return len(self._starting)

    @property
    def idle(self) -> list[int]:
        """The workers without a task, in order."""
        return sorted(self._idle)

    @property
    def has_idle(self) -> bool:
        """Whether a worker is ready and has no task."""
        return bool(self._idle)

    @property
    def off(self) -> int:
        """Number of workers that can be started, now or later."""
        return len(self._off)

    @property
    def unused(self) -> list[str]:
        """Why workers are not used any more."""
        return list(self._unused.values())

    @property
    def next_start(self) -> float | None:
        """The time from which the next worker can be started; None if none is off."""
        return min(self._off.values(), default=None)

    @property
    def is_any_busy(self) -> bool:
        """Whether a worker has a task."""
        return bool(self._busy)

    def idle_elsewhere(self, worker: int) -> int | None:
        """Return an idle worker, on another machine than a worker if there is one; None if none is idle."""
        host = self.hosts.get(worker)
        return min(self._idle, key=lambda item: (self.hosts.get(item) == host, item), default=None)

    def task(self, worker: int) -> Task | None:
        """Return the task of a worker."""
        return self._busy.get(worker)

    def startable(self, now: float) -> list[int]:
        """Return the workers that may be started now, in order."""
        return sorted(worker for worker, not_before in self._off.items() if not_before <= now)

    def start(self, worker: int) -> None:
        """Note that a worker was started."""
        del self._off[worker]
        self._starting.add(worker)

    def set_ready(self, worker: int, host: str) -> None:
        """Note that a worker has loaded its models; a report of a worker that was stopped meanwhile changes nothing."""
        if worker in self._starting:
            self._starting.remove(worker)
            self._idle.add(worker)
            for is_crash in (False, True):
                self._failed_starts.pop((worker, is_crash), None)
            self.hosts[worker] = host

    def assign(self, worker: int, task: Task) -> None:
        """Note that an idle worker was given a task."""
        self._idle.remove(worker)
        self._busy[worker] = task
        self.last[worker] = task.recording

    def set_idle(self, worker: int) -> None:
        """Note that a worker has ended its task."""
        if self._busy.pop(worker, None) is not None:
            self._idle.add(worker)

    def set_off(self, worker: int) -> None:
        """Note that a worker, idle or busy, is gone; it can be started at once."""
        self._idle.discard(worker)
        self._busy.pop(worker, None)
        self._off[worker] = 0.0

    def start_failed(self, worker: int, reason: str, now: float, *, is_crash: bool) -> bool:
        """Note that a worker is gone before it was ready; return False if it is not started again.

        Args:
            worker: Its number.
            reason: How it ended.
            now: The time.
            is_crash: Whether it ended by itself, and not from outside.
        """
        self._starting.discard(worker)
        key = worker, is_crash
        count = self._failed_starts[key] = self._failed_starts.get(key, 0) + 1
        if count >= (self._limits.starts if is_crash else self._limits.killed_starts):
            self._unused[worker] = reason
            return False
        self._off[worker] = now + min(LONGEST_RESTART_S, self._limits.restart_s * 2 ** min(count - 1, 10))
        return True

    def is_starting(self, worker: int) -> bool:
        """Whether a worker loads its models."""
        return worker in self._starting

    def refuse(self, worker: int, reason: str) -> None:
        """Note that a worker is never used."""
        self._starting.discard(worker)
        self._idle.discard(worker)
        self._unused[worker] = reason
