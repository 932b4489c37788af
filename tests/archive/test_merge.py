"""Merging an archive: the events of replay, byte for byte, whatever the chunks are; going on; what fails and what is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferstream.archive.chunk_file import ChunkResult
from ferstream.archive.lock import locked
from ferstream.archive.merge import MergeHooks, MergeOptions, MergeReport, merge_archive
from ferstream.archive.plan import LeftOut, Plan, encode_plan
from ferstream.archive.recording_merge import Merged
from ferstream.archive.store import LocalStore
from ferstream.errors import ConfigError, DataError
from ferstream.settings import PrivacySettings, Settings
from tests.archive.conftest import Replayed
from tests.support.archives import cut_into_chunks, planned, write_archive

FIRST, SECOND = 0, 1
MIDNIGHT_NS = 1_764_028_800_000_000_000
"""2025-11-25 00:00 UTC."""


def archive(folder: Path, replayed: Replayed, starts: Sequence[int] = (0, 50), **values: Any) -> Plan:
    """Write an archive of the clips, cut at these frames."""
    recordings = [
        (
            replace(item.recording, **values),
            cut_into_chunks(item.result, [start for start in starts if start < len(item.result.frames.index)]),
        )
        for item in replayed.analysed
    ]
    return write_archive(folder, recordings, settings=replayed.settings, model=replayed.model)


def merge(folder: Path, **options: Any) -> tuple[MergeReport, list[Merged]]:
    """Merge an archive; return the report and the results of the recordings."""
    seen: list[Merged] = []
    given: dict[str, Any] = {"tables": False, "events": folder / "jsonl"} | options
    report = merge_archive(MergeOptions(archive=str(folder), **given), MergeHooks(on_merged=lambda _, merged: seen.append(merged)))
    return report, seen


def joined(events: Path, replayed: Replayed) -> bytes:
    """The files of the events in the order of the plan."""
    return b"".join((events / f"{item.recording.camera}.jsonl").read_bytes() for item in replayed.analysed)


def tree(folder: Path) -> dict[str, bytes]:
    """Name and content of all files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


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


# -- what cannot be merged -----------------------------------------------------------------------


def test_a_folder_without_a_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no plan.json; .* archive plan"):
        merge(tmp_path)


def test_recordings_that_are_not_analysed_are_named(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)
    (tmp_path / "done" / "000001.json").unlink()

    with pytest.raises(ConfigError, match=r"1 of 5 recordings are not analysed yet \(no_face.mp4\); .* archive run .* does it"):
        merge(tmp_path)
    assert not (tmp_path / "jsonl").exists()


def test_a_recording_that_failed_does_not_stop_the_others(tmp_path: Path, replayed: Replayed) -> None:
    plan = archive(tmp_path, replayed)
    (tmp_path / "done" / "000001.json").write_text('{"failed": "gone"}')
    (tmp_path / "plan.json").write_bytes(encode_plan(replace(plan, left_out=(LeftOut("/x.mp4", "no video"),))))

    report, seen = merge(tmp_path, tables=True)

    assert (report.failed, report.left_out, report.recordings) == (1, 1, 4)
    assert seen[1] == Merged(number=1, failed="gone")
    assert not (tmp_path / "jsonl" / "no_face.jsonl").exists()


def test_outputs_of_a_recording_that_fails_now_are_removed(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)
    merge(tmp_path, tables=True)
    (tmp_path / "done" / "000004.json").write_text('{"failed": "changed"}')

    merge(tmp_path, tables=True)

    assert not list(tmp_path.rglob("000004.parquet"))
    assert not (tmp_path / "jsonl" / "sister.jsonl").exists()


def test_lost_frames_are_counted(tmp_path: Path, replayed: Replayed) -> None:
    item = replayed.analysed[4]
    recording = replace(item.recording, number=0)
    write_archive(tmp_path, [(recording, [replace(item.result, recording=0, lost=3)])], settings=replayed.settings, model="m/1")

    report, _ = merge(tmp_path)

    assert report.lost == 3


@pytest.mark.parametrize("damage", ["flipped", "missing", "empty"])
def test_a_damaged_result_is_an_error_and_is_made_again(tmp_path: Path, replayed: Replayed, damage: str) -> None:
    archive(tmp_path, replayed)
    file = next((tmp_path / "chunks").glob("000000-00001-*.npz"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(bytes(data) if damage == "flipped" else b"")

    with pytest.raises(DataError, match=r"results cannot be used: chunks/000000-00001-.*archive run .* analyses them again"):
        merge(tmp_path, tables=True)

    assert not file.exists()
    assert not (tmp_path / "done" / "000000.json").exists()
    assert not (tmp_path / "summary.parquet").exists()
    assert not list(tmp_path.rglob("*.part"))
    assert (tmp_path / "jsonl" / "sister.jsonl").exists()
    archive(tmp_path, replayed)  # as archive run would
    merge(tmp_path, tables=True)
    assert joined(tmp_path / "jsonl", replayed) == replayed.events.read_bytes()


def shown_twice(chunks: list[ChunkResult]) -> list[ChunkResult]:
    return [chunks[0], replace(chunks[0], chunk=1), *chunks[2:]]


def without_overlap(chunks: list[ChunkResult]) -> list[ChunkResult]:
    return [replace(chunks[0], overlap=0), *chunks[1:]]


def in_another_order(chunks: list[ChunkResult]) -> list[ChunkResult]:
    return [chunks[1], chunks[0], *chunks[2:]]


@pytest.mark.parametrize(("change", "are_kept"), [(shown_twice, False), (without_overlap, False), (in_another_order, True)])
def test_results_that_do_not_follow_each_other_are_an_error(tmp_path: Path, replayed: Replayed, change: Any, are_kept: bool) -> None:
    item = replayed.analysed[0]
    chunks = change(cut_into_chunks(item.result, [0, 40, 80]))
    write_archive(tmp_path, [(item.recording, chunks)], settings=replayed.settings, model="m/1")

    with pytest.raises(DataError, match="results cannot be used"):
        merge(tmp_path)
    assert not list((tmp_path / "jsonl").iterdir())
    assert bool(list((tmp_path / "chunks").iterdir())) == are_kept  # what is wrong in itself would be taken again


def test_a_chunk_without_an_analysed_frame_is_no_seam(tmp_path: Path, replayed: Replayed) -> None:
    """With few frames per second a chunk may have none: its neighbours then share a frame."""
    item = replayed.analysed[0]
    first, second = cut_into_chunks(item.result, [0, 40])
    shared = cut_into_chunks(item.result, [0, 1])[0]
    count = int(item.result.frames.faces[40])
    only = replace(
        first,
        chunk=1,
        overlap=1,
        frames=replace(shared.frames, **{name: getattr(first.frames, name)[-1:] for name in type(first.frames).__slots__}),
        faces=replace(shared.faces, **{name: getattr(first.faces, name)[-count:] for name in type(first.faces).__slots__}),
    )
    chunks = [first, only, replace(second, chunk=2)]
    write_archive(tmp_path / "a", [(item.recording, chunks)], settings=replayed.settings, model="m/1")
    write_archive(tmp_path / "b", [(item.recording, [item.result])], settings=replayed.settings, model="m/1")

    merge(tmp_path / "a")
    merge(tmp_path / "b")

    assert tree(tmp_path / "a" / "jsonl") == tree(tmp_path / "b" / "jsonl")


def test_a_damaged_done_file_is_made_again(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)
    (tmp_path / "done" / "000001.json").write_text("{")

    with pytest.raises(DataError, match=r"done/000001.json: is damaged"):
        merge(tmp_path)
    assert not (tmp_path / "done" / "000001.json").exists()


def test_two_merges_of_one_archive_at_a_time_are_refused(tmp_path: Path, replayed: Replayed) -> None:
    archive(tmp_path, replayed)

    with locked(LocalStore(tmp_path)), pytest.raises(ConfigError, match="works at this archive"):
        merge(tmp_path)


def test_results_in_which_time_goes_back_are_an_error(tmp_path: Path, replayed: Replayed) -> None:
    item = replayed.analysed[0]
    times = item.result.frames.media_time_ns.copy()
    times[50] = 0
    result = replace(item.result, frames=replace(item.result.frames, media_time_ns=times))
    write_archive(tmp_path, [(item.recording, [result])], settings=replayed.settings, model="m/1")

    with pytest.raises(DataError, match="media time goes back"):
        merge(tmp_path)


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
