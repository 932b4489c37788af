"""Which recordings the arguments of replay stand for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ferstream.app.recordings import find_recordings
from ferstream.errors import SourceError
from tests.support.clips import write_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings in two folders, and what is none."""
    clips = tmp_path / "clips"
    (clips / "yard" / "old").mkdir(parents=True)
    first = write_clip(clips / "b.mp4", frames=2).read_bytes()
    for name in ("a.MP4", "yard/c.mp4", "yard/old/a.mp4", ".hidden.mp4", "yard/._c.mp4"):
        (clips / name).write_bytes(first)
    (clips / "notes.txt").write_text("no recording")
    (clips / "a.jsonl").write_text("{}")
    return clips


def found(*arguments: Path, leave_out: tuple[Path, ...] = ()) -> list[tuple[str, str]]:
    recordings = find_recordings(arguments, leave_out=leave_out).recordings
    return [(recording.path.name, recording.camera) for recording in recordings]


def test_a_folder_stands_for_the_recordings_in_and_below_it_by_name(folder: Path) -> None:
    assert found(folder) == [("a.MP4", "a"), ("b.mp4", "b"), ("c.mp4", "c"), ("a.mp4", "a-2")]


def test_a_pattern_stands_for_the_files_and_folders_that_match(folder: Path) -> None:
    assert found(folder / "*.mp4") == [("b.mp4", "b")]
    assert found(folder / "**" / "*.mp4") == [("b.mp4", "b"), ("c.mp4", "c"), ("a.mp4", "a")]
    assert found(folder / "ya*") == [("c.mp4", "c"), ("a.mp4", "a")]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "b[1].mp4").write_bytes((folder / "b.mp4").read_bytes())
    assert found(folder / "b[1].mp4") == [("b[1].mp4", "b-1")]


def test_links_that_lead_in_a_circle_end(folder: Path) -> None:
    (folder / "yard" / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "nowhere.mp4").symlink_to(folder / "missing.mp4")
    result = find_recordings([folder])
    assert len(result.recordings) == 4
    assert [str(error).partition("; ")[0] for error in result.unreadable] == [f"{folder}/nowhere.mp4: no such file"]


def test_a_linked_folder_is_read_and_no_file_comes_twice(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    write_clip(tmp_path / "outside" / "d.mp4", frames=2)
    (folder / "z").symlink_to(tmp_path / "outside")
    (folder / "zz").symlink_to(tmp_path / "outside")
    (folder / "b-again.mp4").symlink_to(folder / "b.mp4")
    assert [name for name, _ in found(folder)] == ["a.MP4", "b-again.mp4", "c.mp4", "a.mp4", "d.mp4"]
    assert found(folder, folder / "*.mp4") == found(folder)


def test_a_file_that_is_named_twice_comes_twice(folder: Path) -> None:
    assert found(folder / "b.mp4", folder / "b.mp4") == [("b.mp4", "b"), ("b.mp4", "b-2")]


def test_files_of_a_folder_that_cannot_be_read_are_left_out_and_named(folder: Path) -> None:
    (folder / "broken.mp4").write_text("no video at all\n" * 50)
    (folder / "empty.mkv").touch()
    result = find_recordings([folder])
    assert len(result.recordings) == 4
    assert [str(error).partition(":")[0].rpartition("/")[2] for error in result.unreadable] == ["broken.mp4", "empty.mkv"]


def test_a_named_file_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "broken.mp4").write_text("no video at all\n" * 50)
    with pytest.raises(SourceError, match=r"broken.mp4: is text"):
        find_recordings([folder / "b.mp4", folder / "broken.mp4"])


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("nowhere/*.mp4", "no file matches this pattern"),
        ("empty", "holds no recording"),
        ("bad", "b1.mp4: is empty"),
        ("ba*", "b1.mp4: is empty"),
    ],
)
def test_nothing_to_read_is_an_error(tmp_path: Path, argument: str, problem: str) -> None:
    for name in ("empty", "bad"):
        (tmp_path / name).mkdir()
    (tmp_path / "bad" / "b1.mp4").touch()
    with pytest.raises(SourceError, match=problem):
        find_recordings([tmp_path / argument])


def test_results_in_the_folder_are_not_recordings(folder: Path) -> None:
    results = folder / "videos"
    results.mkdir()
    (results / "b.mp4").write_bytes((folder / "b.mp4").read_bytes())
    assert [name for name, _ in found(folder, leave_out=(results, folder / "b.mp4"))] == ["a.MP4", "c.mp4", "a.mp4"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "yard").chmod(0)
    with pytest.raises(SourceError, match="yard: this folder cannot be read"):
        find_recordings([folder])
