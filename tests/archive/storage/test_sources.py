"""Recordings in an object store: found, and fetched to be read."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.app.recordings import find_recordings
from ferstream.archive.storage.sources import SourceCache, find_objects, local_copy
from ferstream.errors import OutputError, SourceError
from tests.support.clips import write_clip
from tests.support.s3_server import BUCKET, S3Server, s3_server

NAMES = ("b/2.mp4", "b/1.MP4", "b.mp4", "a.b/z.mkv", "b/deep/3.mp4", ".hidden/4.mp4", "b/notes.txt", "b/mp4", "archive/chunks/5.mp4")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server() as running:
        for name in NAMES:
            running.put(f"sources/{name}", name.encode())
        yield running


@pytest.fixture(autouse=True)
def _environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


def test_a_folder_gives_the_recordings_of_a_local_copy_in_their_order(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=2)
    for name in NAMES:
        (tmp_path / "sources" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, tmp_path / "sources" / name)
    local = find_recordings([tmp_path / "sources"], leave_out=[tmp_path / "sources/archive"]).recordings

    found = find_objects(f"s3://{BUCKET}/sources/", leave_out=[f"s3://{BUCKET}/sources/archive"])

    assert found == [f"s3://{BUCKET}/sources/{recording.path.relative_to(tmp_path / 'sources')}" for recording in local]
    assert len(found) == 5


def test_a_pattern_and_an_object_are_found() -> None:
    assert find_objects(f"s3://{BUCKET}/sources/b/?.mp4") == [f"s3://{BUCKET}/sources/b/2.mp4"]
    assert find_objects(f"s3://{BUCKET}/sources/b/notes.txt") == [f"s3://{BUCKET}/sources/b/notes.txt"]


@pytest.mark.parametrize("name", ["nothing/", "sources/*.mov", "sources/b/9.mp4"])
def test_nothing_that_is_found_is_an_error(name: str) -> None:
    with pytest.raises(SourceError, match="holds no recording"):
        find_objects(f"s3://{BUCKET}/{name}")


def test_an_object_is_fetched_once_and_removed_when_the_next_one_is(tmp_path: Path) -> None:
    with SourceCache(tmp_path) as cache:
        first = cache.fetch(f"s3://{BUCKET}/sources/b/2.mp4")
        assert first.read_bytes() == b"b/2.mp4"
        assert cache.fetch(f"s3://{BUCKET}/sources/b/2.mp4") == first
        second = cache.fetch(f"s3://{BUCKET}/sources/b.mp4")
        assert second.read_bytes() == b"b.mp4"
        assert not first.exists()

    assert list(tmp_path.iterdir()) == []


def test_a_local_file_stays_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"clip")

    with local_copy(str(file), tmp_path) as copy:
        assert copy == file

    assert file.read_bytes() == b"clip"


def test_an_object_that_is_gone_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such object"), SourceCache(tmp_path) as cache:
        cache.fetch(f"s3://{BUCKET}/sources/gone.mp4")

    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_space_is_an_error_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("ferstream.archive.storage.sources.shutil.disk_usage", lambda folder: usage(100, 99, 1))

    with pytest.raises(OutputError, match=r"GB left; set TMPDIR"), SourceCache(tmp_path) as cache:
        cache.fetch(f"s3://{BUCKET}/sources/b.mp4")
