"""Workers on a Ray cluster: one actor each, around a local worker process.

Ray places the actors and says when one is gone. What is done again, and where, is decided by the scheduler: Ray itself repeats nothing.
The main thread uses ``RayWorkers``; Ray is imported when the number of workers is asked for.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ferstream import __version__
from ferstream.archive.plan_file import read_plan
from ferstream.archive.storage.stores import is_remote, open_store
from ferstream.archive.tasks import Died, Failed, Finished, Outcome, Ready, Report, Task
from ferstream.archive.workers.local_workers import LocalWorkers
from ferstream.archive.workers.ray_cluster import check_nodes, connect, disconnect, nodes
from ferstream.errors import ConfigError, FerstreamError, first_line, last_line
from ferstream.runtime.redaction import redact

CORES_OF_A_WORKER = 2
"""Cores that one worker keeps busy; fewer where a node has no more, or more workers are asked for."""
_WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RayTimings:
    """How long to wait, in seconds.

    Attributes:
        connect_s: For the head of the cluster.
        check_s: For the answer of a machine.
        start_s: For a worker that is started: for free CPUs, its process and its models.
    """

    connect_s: float = 10.0
    check_s: float = 120.0
    start_s: float = 300.0


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of an actor that has not returned.

    Attributes:
        worker: Number of the worker.
        task: Its task; None while it starts.
        overdue_at: When the wait for a start ends, by the monotonic clock.
    """

    worker: int
    task: Task | None = None
    overdue_at: float = math.inf


@dataclass(frozen=True, slots=True)
class Opened:
    """What an actor says once its models are loaded.

    Attributes:
        version: Version of ferstream on its node.
        machine: Precision and versions of its machine.
        host: Name of its node.
    """

    version: str
    machine: dict[str, str]
    host: str


class ArchiveActor:
    """One worker of a cluster, a local worker process, which loads the models once and analyses one chunk after the other.

    It is a process of its own, because Ray does not say how an actor ended: a recording that crashes it (SIGSEGV) would look like a
    kill from outside, and be tried again and again. When the actor is killed, the process ends at once with its standard input.
    """

    def __init__(self, where: str, cores: int) -> None:
        """Nothing is loaded yet.

        Args:
            where: The archive.
            cores: Cores that it may use.
        """
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it; replay and local workers run without
        self._where = where
        self._stack = ExitStack()
        self._process = self._stack.enter_context(LocalWorkers(where, 1, cores=cores))

    def open(self) -> Opened | Died:
        """Load the models.

        Raises:
            ConfigError: The archive cannot be seen from this node.
        """
        try:
            read_plan(open_store(self._where))
        except FerstreamError as exc:
            is_url = is_remote(self._where)
            advice = (
                "check the credentials and network of this node" if is_url else "put it where all nodes see it, or into an object store"
            )
            raise ConfigError(f"{socket.gethostname()} does not see the archive {self._where} ({first_line(exc)}); {advice}") from exc
        self._process.start(0)
        report = self._next()
        return Opened(__version__, dict(report.machine), report.host) if isinstance(report, Ready) else _as_died(report)

    def analyze(self, task: Task) -> Outcome | Died:
        """Analyse one chunk; see ``Analyzer.analyze``."""
        self._process.submit(0, task)
        report = self._next()
        return report.outcome if isinstance(report, Finished) else _as_died(report)

    def _next(self) -> Report:
        while not (reports := self._process.wait(_WAIT_S)):
            pass
        return reports[0]


def _as_died(report: Report) -> Died:
    return report if isinstance(report, Died) else Died(report.worker, "its process answers another question", is_crash=True)


class RayWorkers:
    """Workers on a Ray cluster; see ``Workers``."""

    def __init__(
        self, where: str, *, address: str, count: int | None = None, actor: type = ArchiveActor, timings: RayTimings | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            where: The archive, as all nodes see it.
            address: Address of the cluster, ``HOST:PORT``; ``auto`` finds the one that runs on this machine.
            count: Number of workers; None for as many as the cores of the cluster keep busy.
            actor: What runs on the nodes; tests give their own.
            timings: How long to wait; None for the usual times.
        """
        self._where, self._address, self._wanted, self._actor = where, address, count, actor
        self._timings = timings or RayTimings()
        self._ray: Any = None
        self._count, self._cores = 0, CORES_OF_A_WORKER
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, _Call] = {}  # by reference of Ray

    def __enter__(self) -> Self:
        """Connect to the cluster; see ``count``."""
        self._connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in list(self._actors):
            self.stop(worker)
        if self._ray is not None:
            disconnect(self._ray)
            self._ray = None

    @property
    def count(self) -> int:
        """Number of workers; the first call connects to the cluster.

        Raises:
            ConfigError: Ray is not installed, there is no such cluster, it has fewer cores than workers are wanted, or one of its
                nodes has another version of ferstream or does not see the archive.
        """
        self._connect()
        return self._count

    def start(self, worker: int) -> None:
        """Start a worker on a node that has room; see ``Workers``."""
        kind = self._ray.remote(self._actor).options(num_cpus=self._cores, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")
        actor = self._actors[worker] = kind.remote(self._where, self._cores)
        self._calls[actor.open.remote()] = _Call(worker, overdue_at=time.monotonic() + self._timings.start_s)

    def submit(self, worker: int, task: Task) -> None:
        """Give a task to a worker that is ready."""
        self._calls[self._actors[worker].analyze.remote(task)] = _Call(worker, task)

    def stop(self, worker: int) -> None:
        """End a worker at once; see ``Workers``."""
        for reference in [reference for reference, call in self._calls.items() if call.worker == worker]:
            del self._calls[reference]
        actor = self._actors.pop(worker, None)
        if actor is not None:
            self._ray.kill(actor, no_restart=True)

    def wait(self, timeout_s: float) -> list[Report]:
        """Return what has happened; see ``Workers``."""
        if not self._calls:
            threading.Event().wait(timeout_s)
            return []
        ready, waiting = self._ray.wait(list(self._calls), num_returns=1, timeout=timeout_s)
        if ready and waiting:
            ready += self._ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        return [self._report(reference) for reference in ready] + list(self._overdue(time.monotonic()))

    def _overdue(self, now: float) -> Iterator[Report]:
        for worker in [call.worker for call in self._calls.values() if call.overdue_at <= now]:
            text = f"no node of the Ray cluster started it within {self._timings.start_s:g} s; are {self._cores} of its CPUs free?"
            yield self._died(worker, text, is_crash=False)

    def _report(self, reference: Any) -> Report:
        call = self._calls.pop(reference)
        worker, task = call.worker, call.task
        try:
            value = self._ray.get(reference)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as exc:
            return self._died(worker, _cause_of_death(self._ray, exc), is_crash=False)
        except self._ray.exceptions.RayError as exc:
            if task is not None:
                return Finished(worker, task, Failed(_message(exc)))
            return self._died(worker, _message(exc), is_crash=True)
        if isinstance(value, Died):
            return self._died(worker, value.reason, is_crash=value.is_crash)
        if task is not None:
            return Finished(worker, task, value)
        if value.version != __version__:
            return self._died(worker, f"{value.host} has ferstream {value.version}, and this is {__version__}", is_crash=True)
        return Ready(worker, value.machine, value.host)

    def _died(self, worker: int, reason: str, *, is_crash: bool) -> Died:
        self.stop(worker)
        return Died(worker, reason, is_crash)

    def _connect(self) -> None:
        if self._ray is not None:
            return
        ray = connect(self._address, self._timings.connect_s)
        try:
            found = nodes(ray)
            self._count, self._cores = shares([node.cpus for node in found], self._wanted)
            check_nodes(ray, [node for node in found if node.cpus >= self._cores], self._where, self._timings.check_s)
        except BaseException:
            disconnect(ray)
            raise
        self._ray = ray


def shares(cores_of_nodes: Sequence[int], wanted: int | None) -> tuple[int, int]:
    """Return the number of workers, and the cores of each.

    Args:
        cores_of_nodes: Cores of each node.
        wanted: Number of workers that was asked for; None for as many as keep all cores busy.

    Raises:
        ConfigError: There are fewer cores than workers.
    """
    for cores in range(CORES_OF_A_WORKER, 0, -1):
        fitting = sum(node // cores for node in cores_of_nodes)
        if fitting >= (wanted or 1):
            return wanted or fitting, cores
    raise ConfigError(f"--workers {wanted or 1}: the cluster has {sum(cores_of_nodes)} cores; each worker needs one")


def _message(error: BaseException) -> str:
    """Return what went wrong on a node, in one line: the error that its code raised, if it did."""
    cause = getattr(error, "cause", None) or error
    return redact(first_line(cause) if isinstance(cause, FerstreamError) else last_line(cause))


def _cause_of_death(ray: Any, error: Exception) -> str:
    """Return in plain words how a worker ended; Ray's own text has a dozen lines of what may have been the cause."""
    errors, text = ray.exceptions, str(error)
    if isinstance(error, errors.OutOfMemoryError) or "memory monitor" in text:
        return "ended by Ray, because its node had too little memory left"
    if isinstance(error, errors.ActorUnavailableError):
        return "its node cannot be reached"
    if "worker process has died" in text:
        return "its process was killed or crashed"
    if "node" in text and "died" in text:
        return "its node is gone"
    return redact(last_line(error))
