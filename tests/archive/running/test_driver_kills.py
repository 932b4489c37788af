"""A run that is killed by SIGKILL, many times; the same command goes on and nothing is done twice or left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.archive.chunk_file import result_name
from ferstream.archive.plan import WHOLE
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Task
from ferstream.errors import ExitCode
from tests.support.fake_workers import invented_result, is_last, planned

CHUNKS = [3, 0, 5, 2, 7, 0, 1]
PROGRAM = """
import sys
from pathlib import Path
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.running.driver import run_archive
from ferstream.errors import FerstreamError
from tests.support.fake_workers import FakeWorkers

store = LocalStore(Path(sys.argv[1]))
def answer(task, attempt):
    print(task.recording, task.chunk, flush=True)
    if len(sys.argv) > 2:
        sys.stdin.readline()
workers = FakeWorkers(store, count=2, answer=answer)
"""
RUN = """
print("done", run_archive(store, workers=workers, seam_fault=lambda before, after: "").analysed, flush=True)
"""
SHOW = """
from ferstream.cli.archive_run import run_and_show
try:
    sys.exit(int(run_and_show(store, workers=workers, mixed=False, quiet=False)))
except FerstreamError as exc:
    print(exc, file=sys.stderr)
    sys.exit(int(exc.exit_code))
"""


def started(folder: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run, which prints a line for each task that it gives.

    With another argument it is shown as by the command, and waits for a line on its standard input before it goes on.
    """
    command = [sys.executable, "-c", PROGRAM + (SHOW if more else RUN), str(folder), *more]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_a_run_that_is_killed_again_and_again_ends_with_every_result_once(tmp_path: Path, tasks: int) -> None:
    """Each run is killed when it has given so many tasks."""
    planned(LocalStore(tmp_path), CHUNKS)
    kills = 0
    while True:
        with started(tmp_path) as process:
            assert process.stdout is not None
            lines = [line for line in (process.stdout.readline() for _ in range(tasks + 1)) if line]
            if lines[-1].startswith("done"):
                assert process.wait() == 0
                break
            process.send_signal(signal.SIGKILL)
            kills += 1
        assert kills < 100
    assert lines[-1] == f"done {len(CHUNKS)}\n"
    assert kills >= 20 // (tasks + 2)
    _check_results(tmp_path)


def _check_results(folder: Path) -> None:
    store = LocalStore(folder)
    tasks = [Task(number, chunk) for number, count in enumerate(CHUNKS) for chunk in range(count) or [WHOLE]]
    expected = {result_name(invented_result(task, is_last=is_last(store, task))) for task in tasks}
    assert {f"chunks/{path.name}" for path in (folder / "chunks").iterdir()} == expected
    files = [name for path in sorted((folder / "done").iterdir()) for name in json.loads(path.read_bytes())["files"]]
    assert sorted(files) == sorted(expected)
    assert not list(folder.rglob("*.part"))


def test_a_second_run_beside_a_running_one_names_its_process(tmp_path: Path) -> None:
    planned(LocalStore(tmp_path), CHUNKS)
    with started(tmp_path, "wait") as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = subprocess.run([sys.executable, "-c", PROGRAM + RUN, str(tmp_path)], capture_output=True, text=True, check=False)
        assert f"process {first.pid} on {os.uname().nodename} works at this archive" in second.stderr
        first.kill()
    with started(tmp_path) as third:
        assert third.stdout is not None
        assert third.stdout.read().endswith(f"done {len(CHUNKS)}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order_and_the_same_command_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    planned(LocalStore(tmp_path), CHUNKS)
    with started(tmp_path, "wait") as first:
        assert first.stdout is not None
        first.stdout.readline()
        first.send_signal(number)
        _, errors = first.communicate("\n" * 5, timeout=120)
    assert errors.endswith("stopped: 0 of 7 recordings are analysed; the same command goes on\n")
    assert first.returncode == ExitCode.FRAMES_LOST
    assert json.loads((tmp_path / "report.json").read_bytes())["error"].startswith("stopped")
    with started(tmp_path) as second:
        assert second.stdout is not None
        assert second.stdout.read().endswith(f"done {len(CHUNKS)}\n")
    _check_results(tmp_path)


def test_a_second_signal_ends_the_run_at_once(tmp_path: Path) -> None:
    planned(LocalStore(tmp_path), CHUNKS)
    with started(tmp_path, "wait") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        while process.poll() is None:  # two of the same signal that wait are one
            process.send_signal(signal.SIGTERM)
        assert process.returncode == ExitCode.INTERRUPTED


LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
"""


def test_a_disk_that_is_full_for_the_driver_is_exit_code_8_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """The largest size of a file stands for a full disk: results are smaller, the list of 200 results is larger."""
    planned(LocalStore(tmp_path), [200])
    command = [sys.executable, "-c", PROGRAM + LIMIT + SHOW, str(tmp_path)]
    limited = subprocess.run(command, capture_output=True, text=True, check=False)
    assert limited.returncode == ExitCode.OUTPUT
    assert limited.stderr.splitlines() == [
        "what is analysed is kept; when this is repaired, the same command goes on:",
        f"cannot write {tmp_path}/done/000000.json: File too large",
    ]
    assert not list(tmp_path.rglob("*.part"))
    with started(tmp_path) as second:
        assert second.stdout is not None
        assert second.stdout.read() == "done 1\n"
