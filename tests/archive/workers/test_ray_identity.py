"""The promise of archives on a real Ray cluster of two nodes: the events of ``replay``, whatever is killed, with real models."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.app.replay import ReplayOptions, replay_all
from ferstream.archive.merging.merge import MergeOptions, merge_archive
from ferstream.archive.planning.planner import PlanOptions, make_plan
from ferstream.archive.running.driver import run_archive
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.workers.ray_workers import RayWorkers
from tests.support.archive_clips import faces_clip
from tests.support.ray_cluster import ray_cluster

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.slow
def test_a_node_is_killed_and_the_events_are_those_of_replay(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    face = faces_clip(clips / "face.mp4", frames=100)
    for number in range(30):  # enough to do that the second node is at work when it is killed
        shutil.copyfile(face, clips / f"{number}.mp4")
    faces_clip(clips / "matroska.mkv", first=70)
    faces_clip(clips / "stream.ts")
    replay_all(ReplayOptions(videos=(clips,), events=str(tmp_path / "replay.jsonl")))
    store = LocalStore(tmp_path / "archive")
    plan = make_plan(store, PlanOptions(sources=(str(clips),), chunk_s=0.4)).plan

    with ray_cluster(2, 2, environment={"PYTHONPATH": str(REPOSITORY)}) as cluster:
        done = threading.Event()
        killer = threading.Thread(target=_kill, args=(store, cluster.kill_node, done))
        killer.start()
        report = run_archive(store, workers=RayWorkers(store.where, address=cluster.address))
        done.set()
        killer.join()

    assert not report.failed
    assert report.counts.deaths >= 1
    merge_archive(MergeOptions(archive=store.where, events=tmp_path / "events"))
    found = b"".join((tmp_path / "events" / f"{recording.camera}.jsonl").read_bytes() for recording in plan.recordings)
    assert found == (tmp_path / "replay.jsonl").read_bytes()


def _kill(store: LocalStore, kill_node: Callable[[int], None], done: threading.Event) -> None:
    """Kill the second node when the first results are there."""
    while not done.wait(0.05):
        if len(list(store.names("chunks"))) >= 2:
            kill_node(1)
            return
