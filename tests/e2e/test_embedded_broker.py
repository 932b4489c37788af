"""``ferstream run`` with the embedded broker: who gets to know its password."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import signal
import subprocess
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.daemon import FERSTREAM, clean_environment, ferstream

PROMISE = "subscribe with: "
SETTINGS = """
node = "edge-1"
[[cameras]]
name = "door"
source = "demo:"
[mqtt]
url = "embedded"
[outbox]
path = "memory"
[http]
listen = "127.0.0.1:0"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "f.toml"
    file.write_text(SETTINGS)
    return file


def test_run_prints_a_line_to_subscribe_with_that_works_on_a_terminal(settings: Path) -> None:
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto_sub is not installed")
    master, terminal = pty.openpty()
    with subprocess.Popen([*FERSTREAM, "run", "-c", str(settings)], stderr=terminal, env=clean_environment()) as daemon:
        os.close(terminal)
        with os.fdopen(master, encoding="utf-8", errors="replace") as screen:
            try:
                printed = takewhile(lambda line: not line.startswith("metrics at "), screen)
                (line,) = [line for line in printed if line.startswith(PROMISE)]
                command = [*shlex.split(line.removeprefix(PROMISE)), "-C", "1", "-W", "60"]
                received = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            finally:
                daemon.send_signal(signal.SIGTERM)
    assert received.startswith("ferstream/edge-1/")


def test_run_prints_no_password_where_its_output_is_kept(settings: Path) -> None:
    done = ferstream("run", "-c", settings, "--seconds", 1)
    assert "password in /" in done.stderr  # where it is, not what it is
    assert PROMISE not in done.stderr
    assert " -P " not in done.stderr
