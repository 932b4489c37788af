"""The whole life of the service on a real systemd, in namespaces; a minute and root, so not among the quick tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "try.sh"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_life_of_the_service() -> None:
    if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists():
        pytest.skip("needs root and systemd")
    played = subprocess.run(["bash", SCRIPT], capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout.count("\nok    ") >= 18


def test_shellcheck_finds_nothing() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (Debian: apt-get install shellcheck)")
    scripts = sorted(map(str, SCRIPT.parents[1].rglob("*.sh")))
    assert len(scripts) == 4
    found = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
