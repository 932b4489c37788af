"""The promise of archives where recordings, archive and results are objects of a store, and workers are local processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.app.replay import ReplayOptions, replay_all
from ferstream.archive.storage.stores import open_store
from tests.support.archive_clips import faces_clip
from tests.support.s3_server import BUCKET, SECRET, S3Server, s3_server

ARCHIVE, SOURCES = f"s3://{BUCKET}/archive", f"s3://{BUCKET}/recordings/"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    pytest.importorskip("pyarrow")
    with s3_server() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def _ferstream(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ferstream", *arguments], capture_output=True, text=True, check=False)


def test_the_events_are_those_of_replay(server: S3Server, tmp_path: Path) -> None:
    clips = tmp_path / "recordings"
    clips.mkdir()
    for clip in (faces_clip(clips / "face.mp4", frames=100), faces_clip(clips / "matroska.mkv", first=70), faces_clip(clips / "stream.ts")):
        server.put(f"recordings/{clip.name}", clip.read_bytes())
    replay_all(ReplayOptions(videos=(clips,), events=str(tmp_path / "replay.jsonl")))
    expected = (tmp_path / "replay.jsonl").read_bytes()
    assert expected.count(b"\n") > 60

    ended = _ferstream("archive", ARCHIVE, SOURCES, "--chunk-s", "1", "--workers", "2", "--events", str(tmp_path / "events"))

    assert ended.returncode == 0, ended.stderr
    found = b"".join((tmp_path / "events" / f"{name}.jsonl").read_bytes() for name in ("face", "matroska", "stream"))
    assert found == expected
    assert open_store(ARCHIVE).read("summary.parquet").startswith(b"PAR1")
    assert SECRET not in ended.stderr + ended.stdout

    again = _ferstream("archive", ARCHIVE, SOURCES, "--chunk-s", "1", "--events", str(tmp_path / "events"))

    assert again.returncode == 0, again.stderr
    assert "3 recordings merged (3 of them before)" in again.stderr
