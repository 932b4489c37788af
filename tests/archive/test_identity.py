"""The promise of archives: events that are those of ``replay``, byte for byte, with real models, processes and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.app.replay import ReplayOptions, replay_all
from ferstream.archive.merging.merge import MergeOptions, merge_archive
from ferstream.archive.planning.planner import PlanOptions, make_plan
from ferstream.archive.running.driver import run_archive
from ferstream.archive.running.report import RunReport
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.workers.local_workers import LocalWorkers
from tests.support.archive_clips import faces_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of several containers; two have the same name."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "below").mkdir()
    faces_clip(folder / "face.mp4", frames=100)
    faces_clip(folder / "below" / "face.mp4", first=40)
    faces_clip(folder / "matroska.mkv", first=70)
    faces_clip(folder / "stream.ts")
    faces_clip(folder / "flash.flv", first=20)
    torn = faces_clip(folder / "torn.ts", noise=1)
    content = bytearray(torn.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    torn.write_bytes(content)
    (folder / "notes.mp4").write_text("this is no video")
    return folder


def _replay(clips: Path, events: Path, fps: float) -> bytes:
    replay_all(ReplayOptions(videos=(clips,), events=str(events), fps=fps))
    return events.read_bytes()


def _archive(clips: Path, folder: Path, *, fps: float, workers: int) -> tuple[bytes, RunReport]:
    store = LocalStore(folder / "archive")
    plan = make_plan(store, PlanOptions(sources=(str(clips),), chunk_s=0.4, fps=fps)).plan
    assert sum(recording.is_divided for recording in plan.recordings) == 4
    assert plan.chunks > 15
    report = run_archive(store, workers=LocalWorkers(store.where, workers))
    merge_archive(MergeOptions(archive=store.where, events=folder / "events"))
    return b"".join((folder / "events" / f"{recording.camera}.jsonl").read_bytes() for recording in plan.recordings), report


@pytest.mark.parametrize("fps", [0.0, 7.0])
def test_the_events_are_those_of_replay(clips: Path, tmp_path: Path, fps: float) -> None:
    expected = _replay(clips, tmp_path / "replay.jsonl", fps)
    assert expected.count(b"\n") > 60

    found, report = _archive(clips, tmp_path, fps=fps, workers=2)

    assert found == expected
    assert report.lost > 0  # the torn recording
    assert len(report.left_out) == 1
    assert not report.failed
