"""A Ray cluster of several nodes on this machine, in processes of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.api_client import PATIENCE_S
from tests.support.ports import free_port

_ANY_FREE_PORT = ("--min-worker-port=0", "--max-worker-port=0")  # the usual range may have that of the head
_COMMON = ("--num-gpus=0", "--object-store-memory=80000000", "--disable-usage-stats", "--block", *_ANY_FREE_PORT)


class RayCluster:
    """The nodes; each is a group of processes that can be killed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Nothing is started yet.

        Args:
            folder: For its files; the path must be short, because it has sockets.
            environment: More variables of the nodes.
        """
        self.address = f"127.0.0.1:{free_port()}"
        self._folder, self._environment = folder, {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **environment}
        self.nodes: list[subprocess.Popen[bytes]] = []

    def add_node(self, cores: int) -> None:
        """Start a node and wait until it has joined; the first one is the head.

        Args:
            cores: Cores that it says it has.
        """
        port = self.address.rpartition(":")[2]
        role = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self._folder}")
        command = [_ray(), "start", *(role if not self.nodes else (f"--address={self.address}",)), f"--num-cpus={cores}", *_COMMON]
        log = self._folder / f"node{len(self.nodes)}.log"
        with log.open("wb") as output:
            node = subprocess.Popen(command, stdout=output, stderr=output, env=self._environment, start_new_session=True)
        self.nodes.append(node)
        deadline = time.monotonic() + PATIENCE_S
        while b"Ray runtime started" not in log.read_bytes():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)  # no event says that another program is ready

    def kill_node(self, number: int) -> None:
        """Kill a node with everything on it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.nodes[number].pid, signal.SIGKILL)
        self.nodes[number].wait(PATIENCE_S)


@contextmanager
def ray_cluster(*cores: int, environment: Mapping[str, str] | None = None) -> Iterator[RayCluster]:
    """Run a cluster with a node for each number of cores; skips where Ray is not installed."""
    pytest.importorskip("ray")
    folder = Path(tempfile.mkdtemp(prefix="fsray", dir="/tmp"))
    cluster = RayCluster(folder, environment or {})
    try:
        for count in cores:
            cluster.add_node(count)
        yield cluster
    finally:
        for number in reversed(range(len(cluster.nodes))):
            cluster.kill_node(number)
        shutil.rmtree(folder, ignore_errors=True)


def _ray() -> str:
    return str(Path(sys.executable).with_name("ray"))
