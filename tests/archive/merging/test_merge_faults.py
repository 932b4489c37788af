"""Archives that cannot be merged: what is said, and that the other recordings are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferstream.archive.chunk_file import ChunkResult
from ferstream.archive.merging.recording_merge import Merged
from ferstream.archive.plan import LeftOut, encode_plan
from ferstream.archive.storage.lock import locked
from ferstream.archive.storage.store import LocalStore
from ferstream.errors import ConfigError, DataError
from tests.archive.conftest import Replayed
from tests.support.archives import cut_into_chunks, write_archive
from tests.support.merges import archive, joined, merge, tree


def test_a_folder_without_a_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no plan.json; .* archive plan"):
        merge(tmp_path)


def test_settings_of_another_version_are_an_error(tmp_path: Path, replayed: Replayed) -> None:
    plan = archive(tmp_path, replayed)
    (tmp_path / "plan.json").write_bytes(encode_plan(replace(plan, settings={"tracking": {"lifespan_years": 3}})))

    with pytest.raises(ConfigError, match=r"plan\.json: its settings are not those of this version"):
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
