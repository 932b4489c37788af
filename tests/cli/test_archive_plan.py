"""``ferstream archive plan``, and the form that does everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ferstream.archive.plan import LeftOut, Plan, PlannedRecording, decode_plan
from ferstream.archive.planning.planner import Planned
from ferstream.cli import app
from ferstream.cli.archive_plan import left_out_lines, summary
from tests.support.clips import write_clip

GOP = {"x264-params": "keyint=10:min-keyint=10:scenecut=0"}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with a recording that can be divided, and a file that is none."""
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip(folder / "a.mp4", frames=50, options=GOP)
    (folder / "bad.mp4").write_text("no video")
    return folder


def recording(number: int, undivided: str = "") -> PlannedRecording:
    """A recording of half an hour."""
    return PlannedRecording(
        number=number,
        path=f"/{number}.mp4",
        source=f"{number}.mp4",
        camera=str(number),
        size=1,
        head="",
        utc_origin_ns=0,
        frames=1,
        duration_s=1800.0,
        chunks=1 if undivided else 30,
        undivided=undivided,
    )


def test_a_summary_says_what_was_planned(tmp_path: Path, clips: Path) -> None:
    out = tmp_path / "archive"
    ended = CliRunner().invoke(app, ["archive", "plan", str(clips), "--out", str(out), "--chunk-s", "1"])
    assert ended.exit_code == 3  # a file was left out
    assert "1 recording, 0.00 hours, 2 chunks" in ended.stderr
    assert f"left out: {clips / 'bad.mp4'}: is text" in ended.stderr
    assert decode_plan((out / "plan.json").read_bytes()).options["chunk_s"] == 1.0
    again = CliRunner().invoke(app, ["archive", "plan", str(clips / "a.mp4"), "--out", str(out), "--chunk-s", "1"])
    assert (again.exit_code, again.stderr.splitlines()[0]) == (3, "planned before, and not changed: 1 recording, 0.00 hours, 2 chunks")


def test_quiet_names_only_what_is_left_out(tmp_path: Path, clips: Path) -> None:
    ended = CliRunner().invoke(app, ["archive", "plan", str(clips), "--out", str(tmp_path / "archive"), "-q"])
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == ["left out"]


def test_the_summary_counts_reasons() -> None:
    plan = Plan(recordings=(recording(0), recording(1, "it is short"), recording(2, "it is short"), recording(3, "it is damaged")))
    assert summary(Planned(plan, was_there=False)) == [
        "4 recordings, 2.00 hours, 33 chunks",
        "3 not divided, so each is analysed by one worker:",
        "  2: it is short",
        "  1: it is damaged",
    ]


def test_many_files_that_are_left_out_are_counted() -> None:
    plan = Plan(recordings=(recording(0),), left_out=tuple(LeftOut(f"/{number}.mp4", "is text") for number in range(50)))
    assert len(left_out_lines(plan)) == 21
    assert left_out_lines(plan)[-1] == "left out: 30 more; plan.json names them"


def test_the_group_explains_both_forms() -> None:
    ended = CliRunner().invoke(app, ["archive", "--help"])
    assert ended.exit_code == 0
    for word in ("plan", "run", "merge", "DIR SOURCES"):
        assert word in " ".join(ended.output.split())
    assert " all " not in ended.output


def test_a_folder_and_sources_plan_run_and_merge(tmp_path: Path, clips: Path) -> None:
    out, events = tmp_path / "archive", tmp_path / "events"
    (clips / "bad.mp4").unlink()
    arguments = ["archive", str(out), str(clips), "--chunk-s", "1", "--workers", "1", "--events", str(events), "--fps", "2", "-q"]
    ended = CliRunner().invoke(app, arguments)
    assert (ended.exit_code, ended.stderr) == (0, "")
    replayed = tmp_path / "replay.jsonl"
    assert CliRunner().invoke(app, ["replay", str(clips), "--fps", "2", "--events", str(replayed), "-q"]).exit_code == 0
    assert (events / "a.jsonl").read_bytes() == replayed.read_bytes()
