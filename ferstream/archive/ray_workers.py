"""Workers on a Ray cluster: one actor each, which analyses chunks as a local worker does.

Ray places the actors and says when one is gone. What is done again, and where, is decided by the scheduler: Ray itself repeats nothing.
One thread uses ``RayWorkers``; Ray is imported when it is entered.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ferstream import __version__
from ferstream.archive.stores import is_remote, open_store
from ferstream.archive.tasks import Died, Failed, Finished, Outcome, Ready, Report, Task
from ferstream.archive.unfinished import read_plan
from ferstream.errors import ConfigError, FerstreamError, first_line, last_line
from ferstream.runtime.program import install_command
from ferstream.runtime.redaction import redact

CORES_OF_A_WORKER = 2
"""Cores that one worker keeps busy; fewer where a node has no more, or more workers are asked for."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "1"}


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
    """One worker of a cluster: loads the models once, and analyses one chunk after the other."""

    def __init__(self, where: str, cores: int) -> None:
        """Nothing is loaded yet.

        Args:
            where: The archive.
            cores: Cores that it may use.
        """
        self._where, self._cores = where, cores
        self._stack = ExitStack()
        self._analyzer: Any = None

    def open(self) -> Opened:
        """Load the models.

        Raises:
            ConfigError: The archive cannot be seen from this node.
            FerstreamError: The models cannot be loaded.
        """
        host = socket.gethostname()
        store = open_store(self._where)
        try:
            plan = read_plan(store)
        except FerstreamError as exc:
            is_url = is_remote(self._where)
            advice = (
                "check the credentials and network of this node" if is_url else "put it where all nodes see it, or into an object store"
            )
            raise ConfigError(f"{host} does not see the archive {self._where} ({first_line(exc)}); {advice}") from exc
        from ferstream.archive.analyzer import Analyzer
        from ferstream.archive.machine import machine

        self._analyzer = self._stack.enter_context(Analyzer(store, plan, cores=self._cores))
        return Opened(__version__, machine(), host)

    def analyze(self, task: Task) -> Outcome:
        """Analyse one chunk; see ``Analyzer.analyze``."""
        outcome: Outcome = self._analyzer.analyze(task)
        return outcome


class RayWorkers:
    """Workers on a Ray cluster; see ``Workers``."""

    def __init__(self, where: str, *, address: str, count: int | None = None, actor: type = ArchiveActor) -> None:
        """Nothing is connected yet.

        Args:
            where: The archive, as all nodes see it.
            address: Address of the cluster, ``HOST:PORT``; ``auto`` finds the one that runs on this machine.
            count: Number of workers; None for as many as the cores of the cluster keep busy.
            actor: What runs on the nodes; tests give their own.
        """
        self._where, self._address, self._wanted, self._actor = where, address, count, actor
        self._ray: Any = None
        self._count, self._cores = count or 0, CORES_OF_A_WORKER
        self._actors: dict[int, Any] = {}
        self._waiting: dict[Any, tuple[int, Task | None]] = {}  # reference of Ray -> worker, and its task or None for the start

    def __enter__(self) -> RayWorkers:
        """Connect to the cluster.

        Raises:
            ConfigError: Ray is not installed, there is no such cluster, or it has fewer cores than workers are wanted.
        """
        os.environ |= {name: value for name, value in _QUIET.items() if name not in os.environ}
        self._ray = _import_ray()
        _connect(self._ray, self._address)
        try:
            self._count, self._cores = shares(_cores_of_nodes(self._ray), self._wanted)
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for worker in list(self._actors):
            self.stop(worker)
        self._ray.shutdown()

    @property
    def count(self) -> int:
        """Number of workers."""
        return self._count

    def start(self, worker: int) -> None:
        """Start a worker on a node that has room; see ``Workers``."""
        kind = self._ray.remote(self._actor).options(num_cpus=self._cores, max_restarts=0, max_task_retries=0)
        actor = self._actors[worker] = kind.remote(self._where, self._cores)
        self._waiting[actor.open.remote()] = worker, None

    def submit(self, worker: int, task: Task) -> None:
        """Give a task to a worker that is ready."""
        self._waiting[self._actors[worker].analyze.remote(task)] = worker, task

    def stop(self, worker: int) -> None:
        """End a worker at once; see ``Workers``."""
        self._forget(worker)
        actor = self._actors.pop(worker, None)
        if actor is not None:
            self._ray.kill(actor, no_restart=True)

    def wait(self, timeout_s: float) -> list[Report]:
        """Return what has happened; see ``Workers``."""
        if not self._waiting:
            self._ray.wait([self._ray.put(None)], timeout=0)  # notices that the cluster is gone
            return []
        found, _ = self._ray.wait(list(self._waiting), num_returns=1, timeout=timeout_s)
        if found:
            found, _ = self._ray.wait(list(self._waiting), num_returns=len(self._waiting), timeout=0)
        return [self._report(reference) for reference in found if reference in self._waiting]

    def _report(self, reference: Any) -> Report:
        worker, task = self._waiting.pop(reference)
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as exc:
            return self._died(worker, _cause_of_death(exc), is_crash=False)
        except self._ray.exceptions.RayError as exc:
            if task is not None:
                return Finished(worker, task, Failed(_message(exc)))
            return self._died(worker, _message(exc), is_crash=True)
        if task is not None:
            return Finished(worker, task, value)
        if value.version != __version__:
            return self._died(worker, f"{value.host} has ferstream {value.version}, and this is {__version__}", is_crash=True)
        return Ready(worker, value.machine, value.host)

    def _died(self, worker: int, reason: str, *, is_crash: bool) -> Died:
        self.stop(worker)
        return Died(worker, reason, is_crash)

    def _forget(self, worker: int) -> None:
        for reference in [reference for reference, (number, _) in self._waiting.items() if number == worker]:
            del self._waiting[reference]


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(f"--ray needs Ray, which is not installed: {install_command('ray', extra='archive')}") from None
    return ray


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", namespace="ferstream-archive")
    except (ConnectionError, ValueError, RuntimeError) as exc:
        advice = "start one with: ray start --head" if address == "auto" else "check the address; ray status --address ADDRESS shows it"
        raise ConfigError(f"--ray {redact(address)}: no cluster can be used there ({redact(first_line(exc))}); {advice}") from exc


def _cores_of_nodes(ray: Any) -> list[int]:
    return [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def shares(nodes: list[int], wanted: int | None) -> tuple[int, int]:
    """Return the number of workers, and the cores of each.

    Args:
        nodes: Cores of each node.
        wanted: Number of workers that was asked for; None for as many as keep all cores busy.

    Raises:
        ConfigError: There are fewer cores than workers.
    """
    for cores in range(CORES_OF_A_WORKER, 0, -1):
        fitting = sum(node // cores for node in nodes)
        if fitting >= (wanted or 1):
            return wanted or fitting, cores
    raise ConfigError(f"--workers {wanted or 1}: the cluster has {sum(nodes)} cores; each worker needs one")


def _message(error: BaseException) -> str:
    """Return what went wrong on a node, in one line: the error that its code raised, if it did."""
    cause = getattr(error, "cause", None) or error
    return redact(first_line(cause) if isinstance(cause, FerstreamError) else last_line(cause))


def _cause_of_death(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    known = next((line for line in lines if "because" in line or "died" in line), lines[0] if lines else "no reason")
    return redact(known[:200])
