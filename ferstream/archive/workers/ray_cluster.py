"""The connection of this process to a Ray cluster, and the checks of its machines. Main thread only.

Nothing here starts a cluster, and none is stopped: that is what ``ray start`` and ``ray stop`` are for.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ferstream import __version__
from ferstream.archive.storage.stores import open_store
from ferstream.errors import ConfigError, FerstreamError, first_line
from ferstream.runtime.program import install_command

AUTO = "auto"
"""The address that stands for the cluster of this machine."""
CHECKS = "checks"
"""Folder of the archive with the file by which other machines show that they see the same archive."""
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`, Ray would copy the working folder, with all recordings, to each machine
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the behaviour of later versions, without which Ray warns
}


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster, or one of several Ray nodes on one machine.

    Attributes:
        identifier: Ray's identifier.
        address: Its IP address.
        cpus: Number of CPUs that Ray may use there.
    """

    identifier: str
    address: str
    cpus: int


def import_ray() -> Any:
    """Return the module ``ray``.

    Raises:
        ConfigError: It is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # read when ray is imported
    try:
        import ray
    except ImportError as exc:
        advice = install_command("ray", extra="archive")
        raise ConfigError(f"--ray needs Ray, which is not installed: {advice}") from exc
    return ray


def connect(address: str, timeout_s: float) -> Any:
    """Connect to a cluster, and return the module ``ray``. ``ray.shutdown`` disconnects.

    Args:
        address: ``auto``, or ``HOST:PORT`` of its head.
        timeout_s: Seconds until the head must accept a connection.

    Raises:
        ConfigError: Ray is not installed, there is no cluster, or it has another version of Ray or Python.
    """
    _check_address(address, timeout_s)
    ray = import_ray()
    try:
        with _kept_sigterm():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as exc:
        raise ConfigError(_connection_fault(address, exc)) from exc
    _silence()
    return ray


def nodes(ray: Any) -> list[Node]:
    """Return the machines of the cluster that are alive, by address."""
    alive = [entry for entry in ray.nodes() if entry["Alive"]]
    found = [Node(entry["NodeID"], entry["NodeManagerAddress"], int(entry["Resources"].get("CPU", 0))) for entry in alive]
    return sorted(found, key=lambda node: (node.address, node.identifier))


def check_nodes(ray: Any, found: Sequence[Node], where: str, timeout_s: float) -> None:
    """Check that each machine has this version of ferstream and sees the archive.

    Args:
        ray: The module, connected.
        found: The machines.
        where: The archive, as in ``Store.where``.
        timeout_s: Seconds until all machines must have answered.

    Raises:
        ConfigError: One has not; the message says which.
        OutputError: The archive cannot be written.
    """
    store, name = open_store(where), f"{CHECKS}/{secrets.token_hex(8)}"
    store.write(name, name.encode())
    try:
        answers = _ask(ray, found, where, name, timeout_s)
    finally:
        store.remove(name)
    for node, answer in zip(found, answers, strict=True):
        fault = _node_fault(answer, where)
        if fault:
            raise ConfigError(f"machine {node.address} of the Ray cluster ({answer['host']}): {fault}")


def _ask(ray: Any, found: Sequence[Node], where: str, name: str, timeout_s: float) -> list[dict[str, str]]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode

    def answer(where: str, name: str) -> dict[str, str]:
        """Run on a machine of the cluster, where ferstream may be missing: Ray sends this function itself, not its name."""
        import socket
        import sys

        facts = {"host": socket.gethostname(), "python": sys.executable, "version": "", "error": ""}
        try:
            import ferstream
            from ferstream.archive.storage.stores import open_store

            facts["version"] = ferstream.__version__
            if open_store(where).read(name) != name.encode():
                facts["error"] = "its content is another"
        except Exception as exc:  # noqa: BLE001 (it goes back as text, because its class may be unknown there)
            facts["error"] = str(exc) or type(exc).__name__
        return facts

    task = ray.remote(answer)
    on_node = [task.options(num_cpus=0, max_retries=1, scheduling_strategy=OnNode(node.identifier, soft=False)) for node in found]
    calls = [one.remote(where, name) for one in on_node]
    answers: list[dict[str, str]] = []
    for node, call in zip(found, calls, strict=True):
        try:
            answers.append(ray.get(call, timeout=timeout_s))
        except ray.exceptions.RayError as exc:
            raise ConfigError(f"machine {node.address} of the Ray cluster does not answer: {first_line(exc)}") from exc
    return answers


def _node_fault(answer: dict[str, str], where: str) -> str:
    """Return what is wrong with a machine; empty if nothing is."""
    if not answer["version"]:
        return f"ferstream cannot be imported by {answer['python']} ({answer['error']}); install it on every machine of the cluster"
    if answer["version"] != __version__:
        return f"has ferstream {answer['version']}, this one {__version__}; install the same version on every machine"
    if answer["error"]:
        return f"does not see the archive {where} ({answer['error']}); use a folder that all machines share, or an object store"
    return ""


def _check_address(address: str, timeout_s: float) -> None:
    """Check that something listens at an address: Ray would end this process if nothing does."""
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isascii() or not port.isdigit():
        raise ConfigError(f"--ray {address}: is no address of a Ray cluster; use auto, or HOST:PORT of its head, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s).close()
    except (OSError, OverflowError) as exc:
        raise ConfigError(_connection_fault(address, exc)) from exc


def _connection_fault(address: str, exc: Exception) -> str:
    if isinstance(exc, RuntimeError) and "mismatch" in str(exc).lower():
        return f"--ray {address}: " + " ".join(str(exc).split())
    start = "start one with `ray start --head`, and on each further machine `ray start --address HEAD:6379`"
    if address == AUTO:
        return f"--ray auto: no Ray cluster runs on this machine; {start}"
    why = exc.strerror if isinstance(exc, OSError) and exc.strerror else first_line(exc)
    return f"--ray {address}: cannot join a Ray cluster there ({why}); {start}, and run this command on one of its machines"


def _silence() -> None:
    """Keep Ray's reports of ended workers, dozens of lines each, off the terminal: ``log_to_driver`` does not cover them.

    What they say is in Ray's log files, and in short in what ``RayWorkers.wait`` returns.
    """
    vars(importlib.import_module("ray._private.worker"))["_worker_logs_enabled"] = False


@contextlib.contextmanager
def _kept_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM, which Ray replaces when it connects."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, handler)


def disconnect(ray: Any) -> None:
    """Disconnect from the cluster; what this process has started there ends."""
    with contextlib.suppress(FerstreamError), _kept_sigterm():
        ray.shutdown()
