"""scripts/setup.sh with a uv that only writes down what it is asked for: lean and all, interrupted, and two at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.runners import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
UV = f"""#!/bin/sh
echo "$@" >>calls
case $1 in
    venv) mkdir -p .venv/bin && ln -s {sys.executable} .venv/bin/python ;;
    sync) test -z "$WAIT" || {{ read -r line <"$WAIT"; }}; exit "${{SYNC:-0}}" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with the script and a uv of its own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    @property
    def calls(self) -> list[str]:
        """What uv was asked for."""
        return (self.folder / "calls").read_text().splitlines()

    @property
    def left(self) -> set[str]:
        """What lies in the virtual environment."""
        return {path.name for path in (self.folder / ".venv").iterdir()}

    def command(self, what: str) -> list[str]:
        return ["bash", str(self.folder / "scripts/setup.sh"), ".venv", what]

    def set_up(self, what: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        return subprocess.run(
            self.command(what), capture_output=True, text=True, timeout=PATIENCE_S, check=False, env={**self.environment, **variables}
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for name in ("scripts", "bin"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "scripts/setup.sh", tmp_path / "scripts")
    uv = tmp_path / "bin/uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    return Checkout(tmp_path)


def test_a_lean_set_up_has_no_extras_and_removes_nothing(checkout: Checkout) -> None:
    done = checkout.set_up("lean")
    assert done.returncode == 0, done.stderr
    made, synced = checkout.calls
    assert made.startswith("venv ")
    assert synced == "sync --locked --python .venv/bin/python --no-dev --inexact"
    assert checkout.left == {"bin"}


def test_a_full_set_up_fills_the_same_environment(checkout: Checkout) -> None:
    checkout.set_up("lean")
    assert checkout.set_up("all").returncode == 0
    assert [call.split()[0] for call in checkout.calls] == ["venv", "sync", "sync"]
    assert checkout.calls[-1] == "sync --locked --python .venv/bin/python --all-extras"


def test_a_set_up_that_failed_begins_anew(checkout: Checkout) -> None:
    assert checkout.set_up("all", SYNC="1").returncode == 1
    (checkout.folder / ".venv/half").touch()
    done = checkout.set_up("lean")
    assert done.returncode == 0
    assert "was interrupted; beginning anew" in done.stdout
    assert checkout.left == {"bin"}
    assert not list((checkout.folder / ".tools").glob("removed.*"))


def test_an_environment_without_a_python_that_runs_begins_anew(checkout: Checkout) -> None:
    (checkout.folder / ".venv/bin").mkdir(parents=True)
    assert "beginning anew" in checkout.set_up("lean").stdout


def test_what_an_interrupted_removal_left_is_removed(checkout: Checkout) -> None:
    left = checkout.folder / ".tools/removed.7/bin"
    left.mkdir(parents=True)
    assert checkout.set_up("lean").returncode == 0
    assert not left.parent.exists()


def test_another_word_is_an_error(checkout: Checkout) -> None:
    done = checkout.set_up("some")
    assert done.returncode == 2
    assert "expected lean or all, not some" in done.stderr


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A named pipe at which uv waits."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_a_second_set_up_waits_for_the_first(checkout: Checkout, gate: Path) -> None:
    first = subprocess.Popen(checkout.command("all"), env={**checkout.environment, "WAIT": str(gate)})
    with first, gate.open("w") as opened:  # opening waits until the uv of the first set-up reads
        second = subprocess.Popen(checkout.command("lean"), stdout=subprocess.PIPE, text=True, env=checkout.environment)
        with second:
            assert second.stdout is not None
            assert "waiting for it" in second.stdout.readline()
            opened.write("go on\n")
            opened.flush()
            assert first.wait(PATIENCE_S) == 0
            assert second.wait(PATIENCE_S) == 0
    assert [call.split()[-1] for call in checkout.calls if call.startswith("sync")] == ["--all-extras", "--inexact"]
