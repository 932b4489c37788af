"""Local workers: what is reported of processes that work, fail, crash and are killed. The programs are scripted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.archive.plan import WHOLE
from ferstream.archive.tasks import Died, Differs, Done, Failed, Finished, Task
from ferstream.archive.workers.local_workers import LocalWorkers
from tests.support.archive_worker import DONE, is_running, ready, reports, scripted, wait_until
from tests.support.runners import PATIENCE_S

SECRET = "s3://key:hidden-secret@bucket/archive"


def test_a_worker_is_ready_and_does_its_tasks() -> None:
    with LocalWorkers("/archive", 1, command=scripted(DONE)) as workers:
        assert ready(workers).host == "here"
        workers.submit(0, Task(3, 2))
        workers_report = reports(workers)
        workers.submit(0, Task(3, WHOLE))
        last = reports(workers)

    assert workers_report == [Finished(0, Task(3, 2), Done("chunks/2.npz", 10, 2, 0, 0.5))]
    assert last == [Finished(0, Task(3, WHOLE), Done("chunks/-1.npz", 10, 2, 0, 0.5))]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ('say("differs", reason="other pictures")', Differs("other pictures")),
        ('say("failed", reason="gone", is_final=True, stops_all=False)', Failed("gone", is_final=True)),
        ('say("failed", reason="full", is_final=False, stops_all=True)', Failed("full", stops_all=True)),
    ],
)
def test_outcomes_come_as_they_are(answer: str, outcome: Differs | Failed) -> None:
    with LocalWorkers("/archive", 1, command=scripted(f"    {answer}")) as workers:
        ready(workers)
        workers.submit(0, Task(0, 0))

        assert reports(workers) == [Finished(0, Task(0, 0), outcome)]


def test_several_workers_share_the_cores() -> None:
    with LocalWorkers("/archive", 3, cores=8, command=scripted()) as workers:
        machines = [ready(workers, worker).machine for worker in range(3)]

    assert [machine["cores"] for machine in machines] == ["2", "2", "2"]
    assert len({machine["pid"] for machine in machines}) == 3


def test_more_workers_than_cores_have_one_each() -> None:
    with LocalWorkers("/archive", 5, cores=2, command=scripted()) as workers:
        assert ready(workers).machine["cores"] == "1"


def test_waiting_ends_without_reports() -> None:
    with LocalWorkers("/archive", 1, command=scripted()) as workers:
        ready(workers)

        assert workers.wait(0.0) == []
        assert workers.wait(0.01) == []


@pytest.mark.parametrize(
    ("number", "is_crash"),
    [
        (signal.SIGKILL, False),
        (signal.SIGTERM, False),
        (signal.SIGSEGV, True),
        (signal.SIGABRT, True),
        (signal.SIGBUS, True),
        (signal.SIGILL, True),
        (signal.SIGFPE, True),
    ],
)
def test_a_worker_that_is_killed_is_reported_with_the_signal(number: signal.Signals, is_crash: bool) -> None:
    with LocalWorkers("/archive", 1, command=scripted("    signal.pause()")) as workers:
        pid = int(ready(workers).machine["pid"])
        workers.submit(0, Task(0, 0))
        os.kill(pid, number)

        assert reports(workers) == [Died(0, f"killed by {number.name}", is_crash)]
        assert not is_running(pid)


def test_a_crash_says_the_last_line_of_stderr() -> None:
    work = "    os.write(2, b'first\\nassertion failed: x > 0\\n\\n')\n    os.abort()"
    with LocalWorkers("/archive", 1, command=scripted(work)) as workers:
        ready(workers)
        workers.submit(0, Task(0, 0))

        assert reports(workers) == [Died(0, "killed by SIGABRT: assertion failed: x > 0", is_crash=True)]


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("    raise MemoryError('no room')", "ended with status 1: MemoryError: no room"),
        ("    os.write(2, b'what():  std::bad_alloc')\n    os.abort()", "killed by SIGABRT: what():  std::bad_alloc"),
    ],
)
def test_a_lack_of_memory_is_no_crash(work: str, reason: str) -> None:
    with LocalWorkers("/archive", 1, command=scripted(work)) as workers:
        ready(workers)
        workers.submit(0, Task(0, 0))

        assert reports(workers) == [Died(0, reason, is_crash=False)]


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("raise ValueError('no such thing')", "ended with status 1: ValueError: no such thing"),
        ("sys.exit(0)", "ended with status 0"),
        ("say('notstarted', reason='the model is missing'); sys.exit(5)", "the model is missing"),
        ("os.write(1, b'hello\\n'); signal.pause()", "wrote what is no answer"),
        ("os.write(1, b'x' * (1 << 21)); signal.pause()", "wrote what is no answer"),
    ],
)
def test_a_worker_that_does_not_start_has_crashed(start: str, reason: str) -> None:
    with LocalWorkers("/archive", 1, command=scripted(start=start)) as workers:
        workers.start(0)

        assert reports(workers) == [Died(0, reason, is_crash=True)]
        assert workers.pids == {}


def test_a_program_that_is_missing_is_reported() -> None:
    with LocalWorkers("/archive", 1, command=("/nowhere/python",)) as workers:
        workers.start(0)

        assert reports(workers) == [Died(0, "cannot be started: No such file or directory", is_crash=False)]


def test_a_worker_that_died_can_be_started_again() -> None:
    with LocalWorkers("/archive", 1, command=scripted(DONE)) as workers:
        os.kill(int(ready(workers).machine["pid"]), signal.SIGKILL)
        assert isinstance(reports(workers)[0], Died)
        ready(workers)
        workers.submit(0, Task(0, 1))

        assert isinstance(reports(workers)[0], Finished)


def test_a_task_for_a_worker_that_is_gone_is_no_error() -> None:
    with LocalWorkers("/archive", 1, command=scripted()) as workers:
        pid = int(ready(workers).machine["pid"])
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        workers.submit(0, Task(0, 0))

        assert reports(workers) == [Died(0, "killed by SIGKILL", is_crash=False)]


def test_a_result_that_came_before_the_end_is_reported_first() -> None:
    with LocalWorkers("/archive", 1, command=scripted(f"{DONE}\n    os.kill(os.getpid(), signal.SIGKILL)")) as workers:
        ready(workers)
        workers.submit(0, Task(0, 0))
        kinds = [type(report) for report in reports(workers, 2)]

    assert kinds == [Finished, Died]


def test_a_worker_that_writes_much_to_stderr_does_not_wait() -> None:
    work = f"    for _ in range(40):\n        os.write(2, b'x' * 65536)\n{DONE}"
    with LocalWorkers("/archive", 1, command=scripted(work)) as workers:
        ready(workers)
        workers.submit(0, Task(0, 0))

        assert isinstance(reports(workers)[0], Finished)


def test_nothing_is_reported_of_a_worker_that_was_stopped() -> None:
    with LocalWorkers("/archive", 2, command=scripted(DONE)) as workers:
        pids = [int(ready(workers, worker).machine["pid"]) for worker in range(2)]
        workers.submit(0, Task(0, 0))
        workers.stop(0)
        workers.submit(1, Task(0, 1))

        assert [report.worker for report in reports(workers)] == [1]
        assert workers.wait(0.0) == []
        assert [is_running(pid) for pid in pids] == [False, True]


def test_no_process_and_no_descriptor_is_left() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with LocalWorkers("/archive", 5, command=scripted("    signal.pause()")) as workers:
        for worker in range(5):
            ready(workers, worker)
            workers.submit(worker, Task(0, worker))
        pids = list(workers.pids.values())
        assert all(is_running(pid) for pid in pids)

    assert not any(is_running(pid) for pid in pids)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_worker_has_fetched_is_removed_when_it_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    start = "os.mkdir(setup['scratch']); open(setup['scratch'] + '/clip.mp4', 'w').close(); ready(); signal.pause()"
    with LocalWorkers("/archive", 1, command=scripted(start=start)) as workers:
        report = ready(workers)
        assert [path.parent for path in tmp_path.rglob("*.mp4")] == [Path(report.machine["scratch"])]
        os.kill(int(report.machine["pid"]), signal.SIGKILL)
        reports(workers)

        assert list(tmp_path.iterdir()) == []


def test_the_place_of_the_archive_is_neither_in_the_arguments_nor_in_the_environment() -> None:
    start = "ready(); say('done', file=setup['where'], frames=0, faces=0, lost=0, seconds=0); signal.pause()"
    with LocalWorkers(SECRET, 1, command=scripted(start=start)) as workers:
        pid = int(ready(workers).machine["pid"])
        process = Path(f"/proc/{pid}")

        assert b"hidden-secret" not in process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()


def test_a_secret_in_the_last_line_is_not_reported() -> None:
    start = f"raise ValueError('cannot read {SECRET}')"
    with LocalWorkers(SECRET, 1, command=scripted(start=start)) as workers:
        workers.start(0)
        (report,) = reports(workers)

    assert isinstance(report, Died)
    assert report.reason.startswith("ended with status 1: ValueError: cannot read s3://")
    assert "hidden-secret" not in report.reason


def test_ctrl_c_of_the_terminal_does_not_reach_a_worker() -> None:
    with LocalWorkers("/archive", 1, command=scripted(DONE)) as workers:
        pid = int(ready(workers).machine["pid"])

        assert os.getpgid(pid) != os.getpgid(0)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "raise KeyboardInterrupt"])
def test_workers_end_with_their_driver(end: str) -> None:
    program = f"""
import os, signal, sys
from ferstream.archive.workers.local_workers import LocalWorkers
from ferstream.archive.tasks import Task
from tests.support.archive_worker import scripted
with LocalWorkers("/archive", 2, command=scripted()) as workers:
    for worker in range(2):
        workers.start(worker)
    seen = []
    while len(seen) < 2:
        seen += workers.wait(1.0)
    print(*workers.pids.values(), flush=True)
    {end}
"""
    driver = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    pids = [int(pid) for pid in driver.stdout.split()]

    assert len(pids) == 2, driver.stderr
    wait_until(lambda: not any(is_running(pid) for pid in pids))
