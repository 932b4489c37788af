"""Merging an archive: the events of replay, byte for byte, whatever the chunks are; going on; what fails and what is said."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferstream.archive.merging.merge import MergeHooks, MergeOptions, default_workers, merge_archive
from ferstream.errors import ConfigError
from ferstream.settings import PrivacySettings, Settings
from tests.archive.conftest import Replayed
from tests.support.archives import cut_into_chunks, planned, write_archive
from tests.support.merges import archive, joined, merge, tree

MIDNIGHT_NS = 1_764_028_800_000_000_000
"""2025-11-25 00:00 UTC."""


# -- the events of replay ------------------------------------------------------------------------


@pytest.mark.parametrize("starts", [[0], [0, 50], [0, 1, 2, 40, 86], list(range(0, 472, 7))])
@pytest.mark.parametrize("tables", [False, True])
def test_the_events_are_those_of_replay(tmp_path: Path, replayed: Replayed, starts: list[int], tables: bool) -> None:
    archive(tmp_path, replayed, starts)

    merge(tmp_path, tables=tables)

    assert joined(tmp_path / "jsonl", replayed) == replayed.events.read_bytes()


def test_the_clips_have_a_cut_at_the_first_frame_of_a_chunk(tmp_path: Path, replayed: Replayed) -> None:
    """The cut of a first frame is known only to the chunk before: without it the events differ from those of replay."""
    item = next(item for item in replayed.analysed if item.result.frames.cut.any())
    at = int(np.flatnonzero(item.result.frames.cut)[0])
    first, second = cut_into_chunks(item.result, [0, at])

    assert first.frames.cut[-1]
    assert not second.frames.cut[0]


def test_several_processes_write_the_same_files(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path / "one", replayed)
    archive(tmp_path / "three", replayed)

    one, _ = merge(tmp_path / "one", tables=True, events=tmp_path / "one-events")
    three, _ = merge(tmp_path / "three", tables=True, events=tmp_path / "three-events", workers=3)

    assert one == three
    assert tree(tmp_path / "one-events") == tree(tmp_path / "three-events")
    for name in ("events", "tracks"):
        assert tree(tmp_path / "one" / name) == tree(tmp_path / "three" / name)
    assert (tmp_path / "one" / "summary.parquet").read_bytes() == (tmp_path / "three" / "summary.parquet").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_says_how_far_each_recording_is(tmp_path: Path, replayed: Replayed, workers: int) -> None:
    archive(tmp_path, replayed)
    seen: list[tuple[int, int]] = []
    hooks = MergeHooks(on_frames=lambda number, frames: seen.append((number, frames)))

    merge_archive(MergeOptions(archive=str(tmp_path), events=tmp_path / "jsonl", tables=False, workers=workers), hooks)

    assert {number for number, _ in seen} == set(range(len(replayed.analysed)))


@pytest.mark.parametrize(("cores", "frames", "workers"), [(8, 500, 1), (8, 30_000, 3), (2, 10_000_000, 2)])
def test_as_many_processes_as_cores_merge_unless_there_is_little_to_do(
    monkeypatch: pytest.MonkeyPatch, cores: int, frames: int, workers: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))

    assert default_workers([planned(number, f"camera{number}", frames=frames // 10) for number in range(10)]) == workers


# -- going on ------------------------------------------------------------------------------------


def test_a_second_merge_does_nothing(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)
    first, before = merge(tmp_path, tables=True)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "events").rglob("*.parquet")}

    second, after = merge(tmp_path, tables=True)

    assert (first.reused, second.reused) == (0, len(replayed.analysed))
    assert not any(merged.was_merged for merged in before)
    assert [replace(merged, was_merged=True) for merged in before] == after
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "events").rglob("*.parquet")}


@pytest.mark.parametrize("removed", ["jsonl/sister.jsonl", "tracks/camera=sister/date=1970-01-01/000004.parquet", "merged/000004.json"])
def test_a_recording_whose_output_is_gone_is_merged_again(tmp_path: Path, replayed: Replayed, removed: str) -> None:
    archive(tmp_path, replayed)
    merge(tmp_path, tables=True)
    before = tree(tmp_path)
    (tmp_path / removed).unlink()

    _, seen = merge(tmp_path, tables=True)

    assert [merged.number for merged in seen if not merged.was_merged] == [4]
    assert tree(tmp_path) == before


def test_another_folder_of_events_is_filled_too(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)
    merge(tmp_path, events=tmp_path / "a")

    merge(tmp_path, events=tmp_path / "b")

    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_merge_keeps_outputs_that_it_is_not_asked_for(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)
    merge(tmp_path, tables=True, events=None)
    tables = {name: data for name, data in tree(tmp_path).items() if name.endswith(".parquet")}

    merge(tmp_path, tables=False)
    assert {name: data for name, data in tree(tmp_path).items() if name.endswith(".parquet")} == tables
    report, _ = merge(tmp_path, tables=True)

    assert report.reused == len(replayed.analysed)
    assert joined(tmp_path / "jsonl", replayed) == replayed.events.read_bytes()


def test_other_results_are_merged_again(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed, [0, 50])
    merge(tmp_path)

    archive(tmp_path, replayed, [0, 60])
    report, _ = merge(tmp_path)

    # the second clip has no face, but other chunks too
    assert report.reused == 0
    assert joined(tmp_path / "jsonl", replayed) == replayed.events.read_bytes()


def test_files_of_another_date_are_removed(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)
    merge(tmp_path, tables=True)

    archive(tmp_path, replayed, utc_origin_ns=MIDNIGHT_NS)
    merge(tmp_path, tables=True)

    assert {path.parent.name for path in tmp_path.rglob("*.parquet") if path.name != "summary.parquet"} == {"date=2025-11-25"}


# -- options -------------------------------------------------------------------------------------


def test_events_of_single_faces_are_refused_where_the_settings_forbid_them(tmp_path: Path) -> None:
    settings = Settings(privacy=PrivacySettings(aggregate_only=True))
    write_archive(tmp_path, [], settings=settings, model="m/1")

    with pytest.raises(ConfigError, match="aggregate_only"):
        merge(tmp_path)


@pytest.mark.parametrize("name", ["events", "tracks", "chunks", "plan"])
def test_json_lines_do_not_go_among_the_other_files_of_an_archive(tmp_path: Path, replayed: Replayed, name: str) -> None:
    archive(tmp_path, replayed)

    with pytest.raises(ConfigError, match=r"has other files; give another one, such as .*jsonl"):
        merge(tmp_path, events=tmp_path / "chunks" / ".." / name)


@pytest.mark.parametrize("options", [{"tables": True}, {"tables": None, "events": None}])
def test_parquet_files_need_pyarrow(tmp_path: Path, replayed: Replayed, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    archive(tmp_path, replayed)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"need pyarrow.*parquet.*or give --events FOLDER"):
        merge(tmp_path, **options)


def test_json_lines_need_no_pyarrow(tmp_path: Path, replayed: Replayed, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path, replayed)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    report, _ = merge(tmp_path, tables=None)

    assert not report.has_tables
    assert joined(tmp_path / "jsonl", replayed) == replayed.events.read_bytes()


def test_an_archive_without_recordings_has_an_empty_summary(tmp_path: Path, replayed: Replayed) -> None:
    write_archive(tmp_path, [], settings=replayed.settings, model="m/1")

    report, _ = merge(tmp_path, tables=True)

    assert (report.recordings, report.minutes) == (0, 0)
    assert (tmp_path / "summary.parquet").exists()


def test_a_recording_without_analysed_frames_has_an_empty_file_of_events(tmp_path: Path, replayed: Replayed) -> None:
    empty = cut_into_chunks(replayed.analysed[0].result, [0, 0])[0]
    nothing = replace(
        empty,
        overlap=0,
        frames=replace(empty.frames, **{name: getattr(empty.frames, name)[:0] for name in type(empty.frames).__slots__}),
        faces=replace(empty.faces, **{name: getattr(empty.faces, name)[:0] for name in type(empty.faces).__slots__}),
    )
    write_archive(tmp_path, [(planned(0, "door"), [nothing])], settings=replayed.settings, model="m/1")

    merge(tmp_path, tables=True)

    assert (tmp_path / "jsonl" / "door.jsonl").read_bytes() == b""
    assert json.loads((tmp_path / "merged" / "000000.json").read_text())["files"] == []
