"""Files that cannot be read are one line, for every command and option that takes a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.__main__ import main
from ferstream.errors import ExitCode
from tests.support.clips import write_clip
from tests.support.daemon import FERSTREAM, clean_environment
from tests.support.logs import logging_restored

KINDS = ("missing", "folder", "pipe")

CALLS: dict[str, tuple[str, ...]] = {
    "run -c": ("run", "-c", "FILE", "--seconds", "1"),
    "config show -c": ("config", "show", "-c", "FILE"),
    "replay -c": ("replay", "CLIP", "-c", "FILE"),
    "bench -c": ("bench", "CLIP", "-c", "FILE"),
    "predict": ("predict", "FILE", "--out", "OUT", "--no-picture", "--json", "-"),
    "gaps": ("gaps", "FILE"),
    "gaps --password-file": ("gaps", "--password-file", "FILE", "--username", "u", "--seconds", "1", "--url", "mqtt://127.0.0.1:1"),
    "train data": ("train", "data", "FILE"),
    "evaluate --data": ("evaluate", "--data", "FILE"),
}


def unreadable(folder: Path, kind: str) -> Path:
    path = folder / f"x {kind}.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_cannot_be_read_is_one_line(
    call: str, kind: str, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = unreadable(tmp_path, kind)
    words = [{"FILE": str(path), "CLIP": str(clip), "OUT": str(tmp_path / "out")}.get(word, word) for word in CALLS[call]]
    monkeypatch.setattr(sys, "argv", ["ferstream", *words])
    with logging_restored(), pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in {ExitCode.USAGE, ExitCode.SOURCE, ExitCode.DATA}
    *progress, line = capfd.readouterr().err.splitlines()
    assert not any("Error" in text or "\u256d" in text for text in progress)  # some commands say what they are doing
    assert line.startswith("ferstream: ")
    assert f"x {kind}.toml" in line


def run_without_rights(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder as a user who may not read everything; root gives up that right first."""
    rights = "-dac_override,-dac_read_search"
    drop = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    try:
        command = [*drop, *FERSTREAM, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), cwd=folder)
    except FileNotFoundError:
        pytest.skip("setpriv is not installed")


@pytest.mark.parametrize("words", [("config", "show", "-c"), ("run", "-c"), ("replay",), ("predict",), ("gaps",), ("train", "data")])
def test_a_file_without_permission_is_one_line_and_no_box(words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "closed.mp4"
    path.write_text("x")
    path.chmod(0)
    done = run_without_rights(*words, path, folder=tmp_path)
    if "setpriv" in done.stderr:
        pytest.skip("rights cannot be given up here")
    assert done.returncode in {ExitCode.USAGE, ExitCode.SOURCE, ExitCode.DATA}
    (line,) = done.stderr.splitlines()
    assert line.startswith("ferstream: ")
    assert "closed.mp4" in line
    assert "permission" in line.lower() or "may not read" in line


def test_the_demo_of_a_missing_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ferstream", "demo", "--source", str(tmp_path / "missing.mp4"), "--seconds", "3"])
    with logging_restored(), pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == ExitCode.SOURCE
    assert "missing.mp4: no such file" in capfd.readouterr().err


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:1/x", "http://127.0.0.1:1/x"])
def test_the_demo_of_a_camera_that_is_off_is_an_error(
    source: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ferstream", "demo", "--source", source, "--seconds", "3"])
    with logging_restored(), pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == ExitCode.SOURCE
    assert "refused" in capfd.readouterr().err


def test_an_unwritable_file_of_numbers_is_reported_before_the_measurement(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ferstream", "bench", str(clip), "--json", str(tmp_path)])
    with logging_restored(), pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == ExitCode.OUTPUT
    assert "is a folder; give a file" in capfd.readouterr().err
