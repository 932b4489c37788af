"""Workers on a real Ray cluster of two nodes; what they analyse is scripted."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream import __version__
from ferstream.archive.plan import Plan, encode_plan
from ferstream.archive.running.driver import run_archive
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Died, Done, Failed, Finished, Outcome, Ready, Report, Task
from ferstream.archive.workers.ray_cluster import CHECKS
from ferstream.archive.workers.ray_workers import Opened, RayTimings, RayWorkers
from ferstream.errors import ConfigError
from tests.support.api_client import PATIENCE_S
from tests.support.fake_workers import invented_result, is_last, planned, store_result
from tests.support.ray_cluster import RayCluster, ray_cluster

pytestmark = pytest.mark.slow  # each connection to a cluster takes seconds, its start half a minute on a busy machine
REPOSITORY = Path(__file__).parents[3]


class ScriptedActor:
    """Tells which process it is; the number of the chunk says what happens."""

    WAITS, RAISES, DIES = 100, 101, 102

    def __init__(self, where: str, cores: int) -> None:
        self._where = where

    def open(self) -> Opened:
        return Opened(__version__, {"cpu": "scripted"}, f"{socket.gethostname()}/{os.getpid()}")

    def analyze(self, task: Task) -> Outcome:
        if task.chunk == self.WAITS:
            (Path(self._where) / f"pid-{task.recording}").write_text(str(os.getpid()))
            time.sleep(3600)
        if task.chunk == self.RAISES:
            raise ValueError("the chunk is cursed")
        if task.chunk == self.DIES:
            os.kill(os.getpid(), signal.SIGSEGV)
        return Done(f"chunk-{task.chunk}", 1, 2, 0, 0.5)


class InventingActor(ScriptedActor):
    """Writes invented results, and is killed once."""

    def analyze(self, task: Task) -> Outcome:
        store, killed = LocalStore(Path(self._where)), Path(self._where) / "killed"
        if task.chunk == 1 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return store_result(store, invented_result(task, is_last=is_last(store, task)))


class OtherVersion(ScriptedActor):
    """A node with another version."""

    def open(self) -> Opened:
        return Opened("0.0.1", {}, "old-box")


class BrokenActor(ScriptedActor):
    """A node that cannot load its models."""

    def open(self) -> Opened:
        raise ConfigError("the model is missing")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    with ray_cluster(2, 2, environment={"PYTHONPATH": path}) as running:
        yield running


def _reports(workers: RayWorkers, count: int) -> list[Report]:
    """Wait for so many reports."""
    found: list[Report] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline, found
        found += workers.wait(0.5)
    return found


def _started(workers: RayWorkers, count: int) -> list[Ready]:
    for worker in range(count):
        workers.start(worker)
    ready = [report for report in _reports(workers, count) if isinstance(report, Ready)]
    assert sorted(report.worker for report in ready) == list(range(count))
    return ready


def test_a_run_on_two_nodes(cluster: RayCluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The number of workers is asked for before they are entered; one dies. Ray prints nothing, and leaves our handler of SIGTERM."""
    store, handler = LocalStore(tmp_path), signal.getsignal(signal.SIGTERM)
    planned(store, [3, 0, 2])
    workers = RayWorkers(str(tmp_path), address=cluster.address, actor=InventingActor)
    report = run_archive(store, workers=workers, mixed=True, seam_fault=lambda before, after: "")
    assert signal.getsignal(signal.SIGTERM) is handler
    assert (report.analysed, report.failed) == (3, [])
    assert report.counts.deaths == 1
    assert list(store.names(CHECKS)) == []
    assert "".join(capfd.readouterr()) == ""


def test_each_worker_is_a_process_and_does_one_task_after_the_other(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=4, actor=ScriptedActor) as workers:
        ready = _started(workers, 4)
        assert len({report.host for report in ready}) == 4
        assert ready[0].machine == {"cpu": "scripted"}
        for chunk in (0, 4):
            for worker in range(4):
                workers.submit(worker, Task(0, worker + chunk))
            found = _reports(workers, 4)
            assert {(report.worker, report.task, report.outcome) for report in found if isinstance(report, Finished)} == {
                (worker, Task(0, worker + chunk), Done(f"chunk-{worker + chunk}", 1, 2, 0, 0.5)) for worker in range(4)
            }


def test_by_default_two_cores_of_a_node_are_a_worker(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, actor=ScriptedActor) as workers:
        assert workers.count == 2


def test_more_workers_than_cores_are_an_error(cluster: RayCluster, tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="--workers 5: the cluster has 4 cores"),
        RayWorkers(str(tmp_path), address=cluster.address, count=5),
    ):
        pass


def test_an_exception_of_a_task_is_a_failure_and_the_worker_goes_on(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=1, actor=ScriptedActor) as workers:
        _started(workers, 1)
        workers.submit(0, Task(0, ScriptedActor.RAISES))
        assert _reports(workers, 1) == [Finished(0, Task(0, ScriptedActor.RAISES), Failed("the chunk is cursed"))]
        workers.submit(0, Task(0, 1))
        assert isinstance(_reports(workers, 1)[0], Finished)


@pytest.mark.parametrize("how", ["a kill from outside", "a crash"])
def test_a_process_that_dies_is_reported_and_started_again(cluster: RayCluster, tmp_path: Path, how: str) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=1, actor=ScriptedActor) as workers:
        _started(workers, 1)
        if how == "a crash":
            workers.submit(0, Task(7, ScriptedActor.DIES))
        else:
            workers.submit(0, Task(7, ScriptedActor.WAITS))
            os.kill(_pid(tmp_path / "pid-7"), signal.SIGKILL)
        (died,) = _reports(workers, 1)
        assert isinstance(died, Died)
        assert died.worker == 0
        assert not died.is_crash
        assert died.reason
        _started(workers, 1)


def test_a_worker_that_is_stopped_says_nothing_more(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=2, actor=ScriptedActor) as workers:
        _started(workers, 2)
        workers.submit(0, Task(8, ScriptedActor.WAITS))
        pid = _pid(tmp_path / "pid-8")
        workers.stop(0)
        workers.submit(1, Task(0, 1))
        assert [report.worker for report in _reports(workers, 1)] == [1]
        _wait_for_end(pid)
        workers.start(0)
        assert isinstance(_reports(workers, 1)[0], Ready)


def test_all_processes_end_with_the_run(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=2, actor=ScriptedActor) as workers:
        pids = [int(report.host.rpartition("/")[2]) for report in _started(workers, 2)]
    for pid in pids:
        _wait_for_end(pid)


def test_an_idle_worker_that_was_killed_is_reported_at_its_next_task(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=1, actor=ScriptedActor) as workers:
        (ready,) = _started(workers, 1)
        os.kill(int(ready.host.rpartition("/")[2]), signal.SIGKILL)
        workers.submit(0, Task(0, 0))
        assert _reports(workers, 1) == [Died(0, "its process was killed or crashed", is_crash=False)]


def test_a_worker_that_does_not_start_in_time_is_reported(cluster: RayCluster, tmp_path: Path) -> None:
    timings = RayTimings(start_s=0.0)
    with RayWorkers(str(tmp_path), address=cluster.address, count=1, actor=ScriptedActor, timings=timings) as workers:
        workers.start(0)
        text = "no node of the Ray cluster started it within 0 s; are 2 of its CPUs free?"
        assert workers.wait(0.0) == [Died(0, text, is_crash=False)]
        assert workers.wait(0.0) == []


def test_a_folder_that_nodes_do_not_share_is_an_error(cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder is another one on each node."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"does not see the archive shared .*use a folder that all machines share"):
        _ = RayWorkers("shared", address=cluster.address).count
    assert list(LocalStore(tmp_path / "shared").names(CHECKS)) == []


def test_another_version_is_refused(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=1, actor=OtherVersion) as workers:
        workers.start(0)
        (died,) = _reports(workers, 1)
    assert died == Died(0, f"old-box has ferstream 0.0.1, and this is {__version__}", is_crash=True)


def test_models_that_cannot_be_loaded_are_named(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path), address=cluster.address, count=1, actor=BrokenActor) as workers:
        workers.start(0)
        (died,) = _reports(workers, 1)
    assert died == Died(0, "the model is missing", is_crash=True)


def test_an_archive_that_a_node_does_not_see_any_more_is_named(cluster: RayCluster, tmp_path: Path) -> None:
    with RayWorkers(str(tmp_path / "nowhere"), address=cluster.address, count=1) as workers:
        workers.start(0)
        (died,) = _reports(workers, 1)
    assert isinstance(died, Died)
    assert died.is_crash
    assert f"does not see the archive {tmp_path}/nowhere" in died.reason
    assert "all nodes see it" in died.reason


def test_a_node_that_is_lost_costs_its_workers_only(tmp_path: Path) -> None:
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    with ray_cluster(1, 1, environment={"PYTHONPATH": path}) as lossy:
        LocalStore(tmp_path).write("plan.json", encode_plan(Plan(recordings=())))
        with RayWorkers(str(tmp_path), address=lossy.address, count=2, actor=ScriptedActor) as workers:
            _started(workers, 2)
            for worker in range(2):
                workers.submit(worker, Task(worker, ScriptedActor.WAITS))
            for worker in range(2):
                _pid(tmp_path / f"pid-{worker}")
            lossy.kill_node(1)
            (died,) = _reports(workers, 1)
            assert isinstance(died, Died)
            assert workers.wait(1.0) == []


def _pid(file: Path) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # another process writes it
    return int(file.read_text())


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # not a child of this process
