"""The busy loops of ``scripts/busy.sh`` run beside the command and end with it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.brokers import until


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def script(root_dir: Path) -> str:
    return str(root_dir / "scripts" / "busy.sh")


def test_the_exit_status_is_that_of_the_command(script: str) -> None:
    assert subprocess.run([script, "1", "sh", "-c", "exit 3"], check=False).returncode == 3


@pytest.mark.parametrize("words", [[], ["two", "true"], ["2"], ["-1", "true"]])
def test_wrong_arguments_are_refused(script: str, words: list[str]) -> None:
    done = subprocess.run([script, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: scripts/busy.sh LOOPS COMMAND...\n")


@pytest.mark.parametrize("how", ["command ends", signal.SIGTERM, signal.SIGKILL])
def test_the_loops_end_with_the_script(script: str, how: str | signal.Signals) -> None:
    command = subprocess.Popen([script, "2", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert command.stdin is not None
    until(lambda: len(children(command.pid)) == 3)
    started = children(command.pid)
    if isinstance(how, signal.Signals):
        command.send_signal(how)
    command.stdin.close()  # ends cat
    command.wait(20)
    until(lambda: not any(alive(pid) for pid in started))
