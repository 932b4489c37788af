"""A worker process: what it answers, and every way to lose it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ferstream.errors import WorkerError
from ferstream.web.worker import Worker, WorkerPlan
from tests.support.scripted_worker import STILL, plan
from tests.support.sockets import open_files
from tests.support.threads import Task

PATIENCE_S = 60.0


@contextmanager
def running(behaviour: str) -> Iterator[Worker]:
    worker = Worker(plan(behaviour))
    try:
        yield worker
    finally:
        worker.close()


def ask(worker: Worker, timeout_s: float = PATIENCE_S) -> dict[str, object]:
    with Path(os.devnull).open("rb") as file:
        worker.send({"do": "still", "name": "a.jpg"}, [file.fileno()])
    return worker.receive(timeout_s)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_answers_one_question_after_the_other() -> None:
    with running("works") as worker:
        assert [ask(worker)["still"] for _ in range(2)] == [STILL | {"bytes": 0}] * 2
    assert is_gone(worker.pid)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [("dies", "was ended by SIGSEGV"), ("exits", "ended with status 3"), ("floods", "sent what is no message and was ended")],
)
def test_a_worker_that_ends_or_talks_nonsense_is_reported(behaviour: str, message: str) -> None:
    with running(behaviour) as worker, pytest.raises(WorkerError, match=message):
        ask(worker)
    assert is_gone(worker.pid)


def test_a_worker_that_hangs_is_killed() -> None:
    with running("hangs") as worker:
        with pytest.raises(WorkerError, match=r"did not answer within 0\.2 s and was ended"):
            ask(worker, timeout_s=0.2)
        assert is_gone(worker.pid)


def test_a_killed_worker_is_reported_with_its_signal() -> None:
    with running("hangs") as worker:
        asking = Task(lambda: ask(worker))
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="SIGKILL; the system may have run out of memory"):
            asking.result()


def test_another_thread_may_kill_it() -> None:
    with running("hangs") as worker:
        asking = Task(lambda: ask(worker))
        worker.kill()
        with pytest.raises(WorkerError, match="the worker process was ended"):
            asking.result()


def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(WorkerError, match="cannot be started: No such file"):
        Worker(WorkerPlan(command=("/nowhere/python",), environment={}, setup={}))


def test_the_worker_gets_its_environment_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERSTREAM_MQTT__PASSWORD", "hunter2hunter2")
    plain = plan("hangs")
    worker = Worker(WorkerPlan(command=plain.command, environment={"PATH": "/bin"}, setup=plain.setup))
    try:
        assert Path(f"/proc/{worker.pid}/environ").read_bytes() in {b"PATH=/bin\0", b""}
    finally:
        worker.close()


def test_no_descriptor_is_left_open() -> None:
    before = open_files()
    for behaviour in ("works", "dies"):
        with running(behaviour) as worker, suppress(WorkerError):
            ask(worker)
    assert open_files() == before
