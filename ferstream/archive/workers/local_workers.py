"""Workers that are processes of this machine; see ``Workers``. The thread of the driver calls it.

A worker that cannot start, for example because its model is missing, is reported as ``Died`` by a crash with the reason: the scheduler
starts it a few times more, and then uses it no more.
"""

from __future__ import annotations

import os
import secrets
import selectors
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ferstream.archive.tasks import Died, Finished, Ready, Report, Task
from ferstream.archive.workers.local_process import LocalProcess
from ferstream.archive.workers.worker_messages import Loaded, NotStarted, Setup, encode

COMMAND = (sys.executable, "-P", "-m", "ferstream.archive.workers.worker_process")


class LocalWorkers:
    """Processes of this machine, which share its cores."""

    def __init__(self, where: str, count: int, *, cores: int | None = None, command: Sequence[str] = COMMAND) -> None:
        """Nothing is started yet.

        Args:
            where: The archive. It is written to the pipe of each worker, because it may contain a secret.
            count: Number of workers.
            cores: Cores that they share; None for all that this process may use.
            command: The program of a worker; tests give their own.
        """
        self._where, self._count, self._command = where, count, tuple(command)
        self._cores = max(1, (cores or len(os.sched_getaffinity(0))) // max(1, count))
        self._selector: selectors.BaseSelector | None = None
        self._processes: dict[int, LocalProcess] = {}
        self._reports: list[Report] = []

    def __enter__(self) -> Self:
        self._selector = selectors.DefaultSelector()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes.values():
            process.kill()
        for worker in list(self._processes):
            self.stop(worker)
        if self._selector is not None:
            self._selector.close()
            self._selector = None

    @property
    def count(self) -> int:
        """Number of workers."""
        return self._count

    @property
    def pids(self) -> dict[int, int]:
        """Process ids of the workers that run, by their numbers."""
        return {worker: process.pid for worker, process in self._processes.items()}

    def start(self, worker: int) -> None:
        """Start a worker; see ``Workers``."""
        self.stop(worker)
        scratch = Path(tempfile.gettempdir()) / f"ferstream-archive-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            process = LocalProcess(self._command, scratch)
        except OSError as exc:
            self._reports.append(Died(worker, f"cannot be started: {exc.strerror}", is_crash=False))
            return
        self._processes[worker] = process
        for stream in process.streams:
            self._selecting.register(stream, selectors.EVENT_READ, worker)
        process.send(encode(Setup(where=self._where, cores=self._cores, scratch=str(scratch))))

    def submit(self, worker: int, task: Task) -> None:
        """Give a task to a worker that is ready; one that is gone meanwhile is reported by ``wait``."""
        process = self._processes.get(worker)
        if process is not None:
            process.task = task
            process.send(encode(task))

    def stop(self, worker: int) -> None:
        """End a worker at once; see ``Workers``."""
        self._reports = [report for report in self._reports if report.worker != worker]
        process = self._processes.pop(worker, None)
        if process is not None:
            for stream in process.streams:
                self._selecting.unregister(stream)
            process.close()

    def wait(self, timeout_s: float) -> list[Report]:
        """Return what has happened; see ``Workers``."""
        deadline = time.monotonic() + timeout_s
        while not self._reports:
            left = deadline - time.monotonic()
            for key, _ in self._selecting.select(max(0.0, left)):
                self._read(key.data)
            if left <= 0:
                break
        reports, self._reports = self._reports, []
        return reports

    @property
    def _selecting(self) -> selectors.BaseSelector:
        if self._selector is None:
            raise RuntimeError("the workers are used outside of their context")
        return self._selector

    def _read(self, worker: int) -> None:
        """Take what a worker has written."""
        process = self._processes.get(worker)
        if process is None:
            return  # it ended, and was found out by its other stream
        for answer in process.answers():
            if isinstance(answer, Loaded):
                self._reports.append(Ready(worker, answer.machine, answer.host))
            elif isinstance(answer, NotStarted):
                process.reason = answer.reason
            elif process.task is not None:
                self._reports.append(Finished(worker, process.task, answer))
                process.task = None
        if process.has_ended:
            end = process.end()
            reports = self._reports
            self._reports = []
            self.stop(worker)
            self._reports = [*reports, Died(worker, end.reason, end.is_crash)]
