"""Workers on a Ray cluster, as far as no cluster is needed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from ferstream import __version__
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Died, Task
from ferstream.archive.workers import ray_workers
from ferstream.archive.workers.local_workers import LocalWorkers
from ferstream.archive.workers.ray_workers import ArchiveActor, Opened, RayWorkers
from ferstream.errors import ConfigError
from tests.support.fake_workers import planned
from tests.support.ports import free_port

CRASHING_WORKER = """
import os, sys
from ferstream.archive.workers.worker_messages import Loaded, encode
sys.stdin.readline()
sys.stdout.buffer.write(encode(Loaded(machine={}, host="here")))
sys.stdout.flush()
sys.stdin.readline()
os.abort()
"""


def test_a_crash_of_the_process_of_an_actor_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The actor is a plain class, which needs no cluster."""
    planned(LocalStore(tmp_path), [1])
    monkeypatch.setattr(ray_workers, "LocalWorkers", partial(LocalWorkers, command=(sys.executable, "-c", CRASHING_WORKER)))
    actor = ArchiveActor(str(tmp_path), 1)
    assert actor.open() == Opened(__version__, {}, "here")
    died = actor.analyze(Task(0, 0))
    assert isinstance(died, Died)
    assert died.is_crash
    assert "SIGABRT" in died.reason


def test_no_cluster_at_the_address_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match="cannot join a Ray cluster there"), RayWorkers(str(tmp_path), address=f"127.0.0.1:{free_port()}"):
        pass


@pytest.mark.parametrize(
    ("nodes", "wanted", "expected"),
    [
        ([2, 2], None, (2, 2)),
        ([2, 2], 3, (3, 1)),
        ([16, 64], None, (40, 2)),
        ([1], None, (1, 1)),
        ([3], 1, (1, 2)),
        ([1, 1], 2, (2, 1)),
    ],
)
def test_cores_are_shared_out(nodes: list[int], wanted: int | None, expected: tuple[int, int]) -> None:
    assert ray_workers.shares(nodes, wanted) == expected
