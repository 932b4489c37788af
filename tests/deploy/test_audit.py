"""``make audit``: every locked package is asked for, and an index that does not answer is a failure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.installations import uv

ROOT = Path(__file__).resolve().parents[2]


def make_audit(folder: Path, *, status: int) -> tuple[int, list[str], str]:
    """Run ``make audit`` with a ``uvx`` that keeps what it is given; it exits with this status.

    Returns:
        The status of make, the words that ``uvx`` was given, and the list of packages.
    """
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    tools = folder / "tools"
    tools.mkdir()
    (tools / "uv").symlink_to(uv())
    record = f'#!/bin/sh\necho "$@" > {folder}/words\nfor last; do :; done\ncp "$last" {folder}/packages\nexit {status}\n'
    (tools / "uvx").write_text(record)
    (tools / "uvx").chmod(0o755)
    command = ["make", "-C", str(ROOT), "--old-file", ".venv/.ferstream-set-up", "audit"]
    done = subprocess.run(
        command, env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}, capture_output=True, timeout=120, check=False
    )
    return done.returncode, (folder / "words").read_text().split(), (folder / "packages").read_text()


@pytest.mark.parametrize("status", [0, 1])
def test_it_fails_when_the_index_cannot_be_asked(tmp_path: Path, status: int) -> None:
    found, words, _ = make_audit(tmp_path, status=status)
    assert (found == 0) == (status == 0)
    assert words[0] == "pip-audit"
    assert "--strict" in words


def test_every_package_of_an_installation_is_asked_for(tmp_path: Path) -> None:
    _, _, packages = make_audit(tmp_path, status=0)
    names = set(re.findall(r"^([a-z0-9-]+)==", packages, re.MULTILINE))
    assert {"av", "openvino", "keras", "confluent-kafka", "paho-mqtt"} <= names
    assert names.isdisjoint({"pytest", "ferstream"})
