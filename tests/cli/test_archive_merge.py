"""``ferstream archive merge``: what it prints, and its exit codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from ferstream.archive.plan import LeftOut, encode_plan
from ferstream.cli.archive_merge import merge
from ferstream.errors import ConfigError, DataError
from ferstream.settings import Settings
from tests.support.archives import empty_result, planned, write_archive
from tests.support.logs import logging_restored


def run(*arguments: str) -> Result:
    """Run the command in this process."""
    app = typer.Typer()
    app.command()(merge)
    with logging_restored():
        return CliRunner().invoke(app, list(arguments))


def archive(folder: Path, *, lost: int = 0) -> Path:
    """An archive of two recordings without faces."""
    recordings = [(planned(number, f"door-{number}", frames=4), [empty_result(number, frames=4, lost=lost)]) for number in (0, 1)]
    write_archive(folder, recordings, settings=Settings(), model="m/1")
    return folder


def test_a_merge_says_what_it_made(tmp_path: Path) -> None:
    result = run(str(archive(tmp_path)), "--events", str(tmp_path / "e"), "--no-tables")

    assert result.exit_code == 0
    assert result.stderr == f"2 recordings merged: 8 frames, 0 faces; in {tmp_path / 'e'}\n"
    assert sorted(path.name for path in (tmp_path / "e").iterdir()) == ["door-0.jsonl", "door-1.jsonl"]


def test_a_second_merge_says_so(tmp_path: Path) -> None:
    run(str(archive(tmp_path)), "--events", str(tmp_path / "e"), "--no-tables")

    result = run(str(tmp_path), "--events", str(tmp_path / "e"), "--no-tables")

    assert result.stderr.startswith("2 recordings merged (2 of them before): ")


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    result = run(str(archive(tmp_path)), "--events", str(tmp_path / "e"), "--no-tables", "-q")

    assert (result.exit_code, result.output) == (0, "")


def test_lost_frames_are_said_and_exit_75(tmp_path: Path) -> None:
    result = run(str(archive(tmp_path, lost=2)), "--events", str(tmp_path / "e"), "--no-tables", "-q")

    assert result.exit_code == 75
    assert result.stderr.splitlines() == ["door-0.mp4: 2 frames LOST", "door-1.mp4: 2 frames LOST"]


def test_a_failed_recording_and_one_that_was_left_out_are_named_and_exit_3(tmp_path: Path) -> None:
    archive(tmp_path, lost=2)
    plan = write_archive(tmp_path, [(planned(0, "door-0"), [empty_result(0, frames=4)])], settings=Settings(), model="m/1")
    plan = replace(plan, recordings=(*plan.recordings, planned(1, "door-1")), left_out=(LeftOut("/x.mp4", "holds no video"),))
    (tmp_path / "plan.json").write_bytes(encode_plan(plan))
    (tmp_path / "done" / "000001.json").write_text('{"failed": "the file has changed"}')

    result = run(str(tmp_path), "--events", str(tmp_path / "e"), "--no-tables", "-q")

    assert result.exit_code == 3
    assert result.stderr.splitlines() == ["left out: /x.mp4: holds no video", "door-1.mp4 could not be analysed: the file has changed"]


def test_what_is_not_analysed_is_an_error_of_the_usage(tmp_path: Path) -> None:
    archive(tmp_path)
    (tmp_path / "done" / "000000.json").unlink()

    result = run(str(tmp_path), "--no-tables", "--events", str(tmp_path / "e"))

    assert isinstance(result.exception, ConfigError)
    assert "1 of 2 recordings are not analysed yet (door-0.mp4)" in str(result.exception)


def test_a_damaged_result_is_an_error_of_the_data(tmp_path: Path) -> None:
    archive(tmp_path)
    next((tmp_path / "chunks").glob("000001-*")).write_bytes(b"damaged")

    result = run(str(tmp_path), "--no-tables", "--events", str(tmp_path / "e"))

    assert isinstance(result.exception, DataError)
    assert (tmp_path / "e" / "door-0.jsonl").exists()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = run(str(archive(tmp_path / "a")), "--no-tables", "--events", str(tmp_path / "file" / "e"))

    assert "cannot make the folder" in str(result.exception)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bar_is_shown_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    from rich.console import Console

    from ferstream.archive.merging.merge import MergeOptions
    from ferstream.cli import archive_merge

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    console = Console(force_terminal=True, width=100, record=True)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)

    archive_merge.merge_and_report(
        MergeOptions(archive=str(archive(tmp_path)), events=tmp_path / "e", tables=False, workers=workers), quiet=False
    )

    text = console.export_text()
    assert "8/8" in text
    assert "2 recordings merged" in text
