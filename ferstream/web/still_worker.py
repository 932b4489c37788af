"""Analyses pictures one after the other in one worker process, which is started by the first and ended when no more come."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from ferstream.errors import WorkerError
from ferstream.web.worker import Worker
from ferstream.web.worker_protocol import Json

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StillTimings:
    """Time limits for pictures, in seconds.

    Attributes:
        start_s: Added for the first picture of a process, which loads the networks.
        still_s: Longest time for one picture.
        idle_s: A process without work for so long is ended.
    """

    start_s: float = 300.0
    still_s: float = 120.0
    idle_s: float = 60.0

    @property
    def longest_s(self) -> float:
        """Longest time for a picture whose process has to be started."""
        return self.start_s + self.still_s


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture that waits: its file, its name, and who waits for the result."""

    file: int
    name: str
    result: Future[Json]


class StillWorker:
    """Any thread gives it pictures. Its own thread runs while there is a process.

    Args:
        new_worker: Starts a worker process.
        timings: Time limits.
    """

    def __init__(self, new_worker: Callable[[], Worker], *, timings: StillTimings | None = None) -> None:
        self._new_worker, self.timings = new_worker, timings or StillTimings()
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Number of the process; None while there is none."""
        worker = self._worker
        return None if worker is None else worker.pid

    def analyse(self, file: int, name: str) -> Future[Json]:
        """Analyse a picture; the result is what the worker answers, or a ``WorkerError``.

        Args:
            file: Descriptor of a file with the picture; the caller may close it at once.
            name: Its name for messages.
        """
        job = _Job(os.dup(file), name, Future())
        with self._changed:
            if self._closed:
                self._refuse(job)
                return job.result
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stills", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return job.result

    def close(self, timeout_s: float = 15.0) -> None:
        """End the process; pictures that wait get a ``WorkerError``."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
            if self._worker is not None:
                self._worker.kill()
        if thread is not None:
            thread.join(timeout_s)

    # -- its own thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                if job.result.set_running_or_notify_cancel():  # else nobody waits for it any more
                    job.result.set_result(self._ask(job))
            except Exception as exc:  # noqa: BLE001 (thread boundary: whoever waits gets it)
                _LOG.warning("a picture could not be analysed", reason=str(exc))
                job.result.set_exception(exc if isinstance(exc, WorkerError) else WorkerError(str(exc)))
            finally:
                os.close(job.file)

    def _next(self) -> _Job | None:
        """Wait for a picture. When none comes, end the process and return None: the thread is over."""
        with self._changed:
            if not self._jobs and not self._closed:
                self._changed.wait_for(lambda: bool(self._jobs) or self._closed, self.timings.idle_s)
            if self._jobs and not self._closed:
                return self._jobs.popleft()
            self._thread = None
            while self._jobs:
                self._refuse(self._jobs.popleft())
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
        return None

    def _ask(self, job: _Job) -> Json:
        limit_s = self.timings.still_s
        worker = self._worker
        if worker is None:
            limit_s = self.timings.longest_s
            worker = self._start()
        try:
            worker.send({"do": "still", "name": job.name}, [job.file])
            return worker.receive(limit_s)
        except WorkerError:
            with self._changed:
                self._worker = None
            worker.close()
            raise

    def _start(self) -> Worker:
        with self._changed:
            if self._closed:
                raise WorkerError("the node is stopping")
            self._worker = self._new_worker()
            return self._worker

    @staticmethod
    def _refuse(job: _Job) -> None:
        os.close(job.file)
        job.result.set_exception(WorkerError("the node is stopping"))
