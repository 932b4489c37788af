"""The program of a local worker, with real models: tasks, the end of its driver, signals, kills in the middle of a chunk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.replay import ReplayOptions, replay_all
from ferstream.archive.machine import machine
from ferstream.archive.merging.merge import MergeOptions, merge_archive
from ferstream.archive.plan import PLAN, WHOLE, Plan, encode_plan
from ferstream.archive.running.driver import run_archive
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Died, Done, Finished, Task
from ferstream.archive.workers.local_workers import COMMAND, LocalWorkers
from tests.support.archive_clips import GROUP, faces_clip, plan_clips, results_in, undivided
from tests.support.archive_worker import has_open, is_running, ready, reports, wait_until
from tests.support.runners import PATIENCE_S


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A clip of three groups, and one of many pictures."""
    folder = tmp_path_factory.mktemp("clips")
    return [faces_clip(folder / "door.mp4", frames=3 * GROUP), faces_clip(folder / "hall.mkv", frames=25 * GROUP, first=20)]


@pytest.fixture
def planned(clips: list[Path], tmp_path: Path) -> tuple[LocalStore, Plan]:
    """An archive of the first clip."""
    return plan_clips(tmp_path / "archive", clips[0])


@pytest.fixture
def long(clips: list[Path], tmp_path: Path) -> tuple[LocalStore, Plan]:
    """An archive of the long clip, which is not divided."""
    store, plan = plan_clips(tmp_path / "long", clips[1])
    return store, undivided(store, plan)


class Process:
    """A worker process without ``LocalWorkers``."""

    def __init__(self, where: str, scratch: Path) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe)
        self.send({"setup": {"where": where, "cores": 1, "scratch": str(scratch)}})

    def send(self, message: dict[str, Any]) -> None:
        """Write a message."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(message).encode() + b"\n")
        self.popen.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Read a message."""
        assert self.popen.stdout is not None
        answer: dict[str, Any] = json.loads(self.popen.stdout.readline())
        return answer


@pytest.fixture
def process(planned: tuple[LocalStore, Plan], tmp_path: Path) -> Iterator[Process]:
    """A process that has been set up."""
    made = Process(planned[0].where, tmp_path / "scratch")
    yield made
    made.popen.kill()
    made.popen.communicate()


def test_the_program_answers_with_its_machine_and_outcomes(process: Process, planned: tuple[LocalStore, Plan]) -> None:
    loaded = process.answer()["loaded"]
    process.send({"task": {"recording": 0, "chunk": 1}})
    done = process.answer()["done"]

    assert loaded["machine"] == machine() == planned[1].machine
    assert (done["frames"], done["lost"]) == (GROUP, 0)
    assert list(planned[0].names("chunks")) == [done["file"]]


def test_the_program_ends_with_its_stdin(process: Process) -> None:
    process.answer()

    _, stderr = process.popen.communicate(timeout=5 * PATIENCE_S)

    assert (process.popen.returncode, stderr) == (0, b"")


def test_the_program_ignores_sigint_and_ends_on_sigterm(process: Process) -> None:
    process.answer()
    process.popen.send_signal(signal.SIGINT)
    process.send({"task": {"recording": 0, "chunk": 0}})
    assert "done" in process.answer()
    process.popen.send_signal(signal.SIGTERM)

    assert process.popen.wait(5 * PATIENCE_S) == -signal.SIGTERM


def busy_process(store: LocalStore, tmp_path: Path) -> Process:
    """A process in the middle of a recording."""
    process = Process(store.where, tmp_path / "scratch")
    process.answer()
    process.send({"task": {"recording": 0, "chunk": WHOLE}})
    wait_until(lambda: has_open(process.popen.pid, "hall.mkv"))
    return process


def test_the_end_of_stdin_ends_the_program_in_the_middle_of_a_chunk(long: tuple[LocalStore, Plan], tmp_path: Path) -> None:
    process = busy_process(long[0], tmp_path)

    stdout, stderr = process.popen.communicate(timeout=5 * PATIENCE_S)

    assert (process.popen.returncode, stdout, stderr) == (0, b"", b"")
    assert list(results_in(tmp_path / "long")) == []


def test_a_worker_that_is_killed_in_the_middle_of_a_chunk_leaves_nothing(long: tuple[LocalStore, Plan], tmp_path: Path) -> None:
    with LocalWorkers(long[0].where, 1) as workers:
        ready(workers)
        pid = workers.pids[0]
        workers.submit(0, Task(0, WHOLE))
        wait_until(lambda: has_open(pid, "hall.mkv"))
        os.kill(pid, signal.SIGKILL)
        assert reports(workers) == [Died(0, "killed by SIGKILL", is_crash=False)]
        assert list(results_in(tmp_path / "long")) == []
        ready(workers)
        workers.submit(0, Task(0, WHOLE))
        (report,) = reports(workers)

    assert isinstance(report, Finished)
    assert isinstance(report.outcome, Done)
    assert report.outcome.frames == 25 * GROUP


def test_five_workers_are_started_and_none_is_left(planned: tuple[LocalStore, Plan]) -> None:
    with LocalWorkers(planned[0].where, 5) as workers:
        for worker in range(5):
            workers.start(worker)
        assert sorted(report.worker for report in reports(workers, 5)) == [0, 1, 2, 3, 4]
        pids = list(workers.pids.values())

    assert not any(is_running(pid) for pid in pids)


def test_a_model_that_is_missing_is_said(planned: tuple[LocalStore, Plan]) -> None:
    store, plan = planned
    settings = {**plan.settings, "inference": {**plan.settings["inference"], "model": "nowhere/9"}}
    store.write(PLAN, encode_plan(replace(plan, settings=settings)))
    with LocalWorkers(store.where, 1) as workers:
        workers.start(0)
        (report,) = reports(workers)

    assert isinstance(report, Died)
    assert report.is_crash
    assert "nowhere/9" in report.reason


def test_an_archive_that_is_missing_is_said(tmp_path: Path) -> None:
    with LocalWorkers(str(tmp_path), 1) as workers:
        workers.start(0)
        (report,) = reports(workers)

    assert isinstance(report, Died)
    assert f"{tmp_path}: has no plan.json" in report.reason


def test_what_libraries_print_is_no_answer(planned: tuple[LocalStore, Plan]) -> None:
    program = (
        "import os, sys\n"
        "from ferstream.archive.workers import analyzer, worker_process\n"
        "analyze = analyzer.Analyzer.analyze\n"
        "def noisy(self, task):\n"
        "    print('noise', flush=True); os.write(1, b'more noise\\n'); assert os.read(0, 1) == b''\n"
        "    return analyze(self, task)\n"
        "analyzer.Analyzer.analyze = noisy\n"
        "sys.exit(worker_process.main())\n"
    )
    with LocalWorkers(planned[0].where, 1, command=(sys.executable, "-c", program)) as workers:
        ready(workers)
        workers.submit(0, Task(0, 0))

        assert isinstance(reports(workers)[0], Finished)


@pytest.mark.parametrize("count", [1, 3])
def test_local_workers_and_the_merge_make_the_events_of_replay(clips: list[Path], tmp_path: Path, count: int) -> None:
    store, plan = plan_clips(tmp_path / "archive", *clips)
    report = run_archive(store, workers=LocalWorkers(store.where, count))
    merge_archive(MergeOptions(archive=store.where, events=tmp_path / "events"))
    replay_all(ReplayOptions(videos=tuple(clips), events=str(tmp_path / "replay.jsonl")))

    assert report.whole == []
    merged = [(tmp_path / "events" / f"{recording.camera}.jsonl").read_bytes() for recording in plan.recordings]
    assert b"".join(merged) == (tmp_path / "replay.jsonl").read_bytes()
