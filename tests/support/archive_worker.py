"""Workers of an archive that do what a test tells them: programs for ``LocalWorkers``, which need no model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from ferstream.archive.tasks import Ready, Report
from ferstream.archive.workers.local_workers import LocalWorkers
from tests.support.runners import PATIENCE_S

_START = """
import json, os, signal, subprocess, sys, time
setup = json.loads(sys.stdin.readline())["setup"]
def say(kind, **content):
    os.write(1, json.dumps({kind: content}).encode() + b"\\n")
def ready():
    say("loaded", machine={"pid": str(os.getpid()), "cores": str(setup["cores"]), "scratch": setup["scratch"]}, host="here")
"""
_WORK = """
ready()
for line in sys.stdin:
    task = json.loads(line)["task"]
"""


def scripted(work: str = "", *, start: str | None = None) -> tuple[str, ...]:
    """Return the command of a worker.

    Args:
        work: What it does with each task, four spaces before each line; ``task`` is a dictionary.
        start: What it does instead of waiting for tasks.
    """
    program = _START + (start if start is not None else _WORK + (work or "    pass"))
    return sys.executable, "-c", program


DONE = '    say("done", file=f"chunks/{task[\'chunk\']}.npz", frames=10, faces=2, lost=0, seconds=0.5)'


def reports(workers: LocalWorkers, count: int = 1) -> list[Report]:
    """Wait for so many reports."""
    found: list[Report] = []
    deadline = time.monotonic() + 5 * PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        found += workers.wait(0.5)
    assert len(found) == count, found
    return found


def ready(workers: LocalWorkers, worker: int = 0) -> Ready:
    """Start a worker and wait until it is ready."""
    workers.start(worker)
    (report,) = reports(workers)
    assert isinstance(report, Ready), report
    return report


def is_running(pid: int) -> bool:
    """Whether there is a process; one that has ended and was not waited for counts too."""
    return Path(f"/proc/{pid}").exists()


def has_open(pid: int, name: str) -> bool:
    """Whether a process has a file open."""
    return any(str(path.readlink()).endswith(name) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink())


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a state of other processes."""
    deadline = time.monotonic() + 5 * PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
