"""Which processes ``ferstream reload`` takes for the daemon."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ferstream.cli.reload import reload, running_daemons
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
def test_what_only_starts_or_names_it_is_not(words: list[str], tmp_path: Path) -> None:
    assert running_daemons(proc_of(tmp_path, [words])) == []


def test_a_process_that_ends_meanwhile_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "10000000").mkdir()
    assert running_daemons(tmp_path) == []


def test_one_gets_the_signal_of_systemctl(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *args: sent.append(args))
    reload(pid=42)
    assert sent == [(42, signal.SIGHUP)]


@pytest.mark.parametrize(("found", "says"), [([], "name it with --pid"), ([1, 2], r"several daemons run \(1, 2\)")])
def test_none_and_several_are_told(found: list[int], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferstream.cli.reload.running_daemons", lambda proc: found)
    with pytest.raises(ConfigError, match=says):
        reload(pid=None)


def test_a_process_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="process 999999999: No such process"):
        reload(pid=999_999_999)
