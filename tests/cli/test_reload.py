"""``ferstream reload`` finds the daemon and sends it SIGHUP."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ferstream.cli.reload import only_daemon, reload, running_daemons
from ferstream.errors import ConfigError

DAEMONS = [
    ["/opt/ferstream/bin/ferstream", "run", "-c", "f.toml"],
    ["/usr/bin/python3.11", "/opt/ferstream/bin/ferstream", "run"],
    ["python", "-m", "ferstream", "run", "--seconds", "5"],
    ["/usr/bin/python3", "/src/ferstream/__main__.py", "run"],
]
OTHERS = [
    ["uv", "run", "ferstream", "run"],
    ["timeout", "9", "ferstream", "run"],
    ["ferstream", "demo"],
    ["python", "-m", "ferstream", "replay", "run"],
    ["python", "-m", "pytest", "ferstream", "run"],
    ["bash", "-c", "ferstream run"],
    [""],
]


def proc_of(folder: Path, commands: list[list[str]]) -> Path:
    for pid, words in enumerate(commands, 10_000_000):
        (folder / str(pid)).mkdir()
        (folder / str(pid) / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
    (folder / "self").mkdir()
    return folder


@pytest.mark.parametrize("words", DAEMONS)
def test_a_daemon_is_found(words: list[str], tmp_path: Path) -> None:
    assert running_daemons(proc_of(tmp_path, [words])) == [10_000_000]


@pytest.mark.parametrize("words", OTHERS)
def test_a_program_that_starts_or_names_the_daemon_is_not_the_daemon(words: list[str], tmp_path: Path) -> None:
    assert running_daemons(proc_of(tmp_path, [words])) == []


def test_a_process_that_ends_meanwhile_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "10000000").mkdir()
    assert running_daemons(tmp_path) == []


def test_the_process_gets_sighup() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: received.append(number))
    try:
        reload(pid=os.getpid())
    finally:
        signal.signal(signal.SIGHUP, before)
    assert received == [signal.SIGHUP]


def test_the_only_daemon_is_chosen() -> None:
    assert only_daemon([7]) == 7


@pytest.mark.parametrize(
    ("running", "message"), [([], "give its process id with --pid"), ([1, 2], r"several daemons are running \(1, 2\)")]
)
def test_no_daemon_and_several_daemons_are_errors(running: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        only_daemon(running)


def test_a_missing_process_is_an_error() -> None:
    with pytest.raises(ConfigError, match="process 999999999: No such process"):
        reload(pid=999_999_999)
