"""The analysis of chunks: real clips, real models; what is recorded makes the events of replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferstream.app.replay import ReplayOptions, replay_all
from ferstream.archive.chunk_file import ChunkResult, FaceTable, FrameTable
from ferstream.archive.done_file import DoneRecording, write_done
from ferstream.archive.merging.merge import MergeOptions, merge_archive
from ferstream.archive.plan import WHOLE, Plan
from ferstream.archive.running.seams import seam_fault
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Done, Task
from ferstream.archive.workers.analyzer import Analyzer
from tests.support.archive_clips import GROUP, faces_clip, pipeline_threads, plan_clips, read, undivided

CHUNKS = 5
MASKED = """
[[cameras]]
name = "door"
source = "rtsp://door.example/1"
masks = [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]
mirror = true
"""


@dataclass(frozen=True)
class Archive:
    """A planned clip, and what analyses it."""

    clip: Path
    store: LocalStore
    plan: Plan
    analyzer: Analyzer

    def result(self, chunk: int) -> ChunkResult:
        """Analyse a chunk."""
        return read(self.store, self.analyzer.analyze(Task(0, chunk)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty pictures with faces, in five groups."""
    return faces_clip(tmp_path_factory.mktemp("clips") / "door.mp4", frames=CHUNKS * GROUP)


@pytest.fixture(scope="module")
def archive(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The clip, divided into five chunks."""
    store, plan = plan_clips(tmp_path_factory.mktemp("archive"), clip)
    assert plan.recordings[0].chunks == CHUNKS
    with Analyzer(store, plan, cores=2) as analyzer:
        yield Archive(clip, store, plan, analyzer)


@pytest.fixture(scope="module")
def results(archive: Archive) -> list[ChunkResult]:
    """The results of the five chunks."""
    return [archive.result(number) for number in range(CHUNKS)]


def own(result: ChunkResult) -> tuple[FrameTable, FaceTable]:
    """The frames and faces of a result without those of the next chunk."""
    frames = len(result.frames.index) - result.overlap
    faces = int(result.frames.faces[:frames].sum())
    of_frames = {name: getattr(result.frames, name)[:frames] for name in FrameTable.__slots__}
    return FrameTable(**of_frames), FaceTable(**{name: getattr(result.faces, name)[:faces] for name in FaceTable.__slots__})


def events_of_replay(tmp_path: Path, *clips: Path, **options: Any) -> bytes:
    """What replay writes for recordings."""
    events = tmp_path / "replay.jsonl"
    replay_all(ReplayOptions(videos=clips, events=str(events), **options))
    return events.read_bytes()


def events_of_archive(store: LocalStore, plan: Plan, tasks: list[Task], tmp_path: Path) -> bytes:
    """What the merge writes for one recording whose chunks are analysed here."""
    with Analyzer(store, plan, cores=1) as analyzer:
        outcomes = [analyzer.analyze(task) for task in tasks]
    results = [read(store, outcome) for outcome in outcomes]
    assert [seam_fault(before, after) for before, after in pairwise(results)] == [""] * (len(results) - 1)
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    write_done(
        store,
        0,
        DoneRecording(
            files=tuple(outcome.file for outcome in done),
            whole=tasks[0].is_whole,
            reason="",
            frames=sum(outcome.frames for outcome in done),
            faces=sum(outcome.faces for outcome in done),
            lost=sum(outcome.lost for outcome in done),
            seconds=1.0,
            size=1,
        ),
    )
    merge_archive(MergeOptions(archive=store.where, events=tmp_path / "events"))
    return (tmp_path / "events" / f"{plan.recordings[0].camera}.jsonl").read_bytes()


def test_a_chunk_that_is_analysed_twice_gives_equal_bytes(archive: Archive) -> None:
    first = archive.analyzer.analyze(Task(0, 1))
    assert isinstance(first, Done)
    content = archive.store.read(first.file)
    second = archive.analyzer.analyze(Task(0, 1))

    assert isinstance(second, Done)
    assert (second.file, archive.store.read(second.file)) == (first.file, content)


def test_the_chunks_have_the_frames_of_the_whole_recording(archive: Archive, results: list[ChunkResult]) -> None:
    whole = archive.result(WHOLE)
    frames, faces = zip(*(own(result) for result in results), strict=True)

    assert whole.frames.faces.sum() > CHUNKS
    assert whole.frames.cut.tolist().count(True) == 2
    for name in FrameTable.__slots__:
        joined = np.concatenate([getattr(table, name) for table in frames])
        if name == "cut":
            joined[[2 * GROUP]] = True  # a chunk does not know what was before its first frame; the one before it does
        assert np.array_equal(joined, getattr(whole.frames, name)), name
    for name in FaceTable.__slots__:
        assert np.concatenate([getattr(table, name) for table in faces]).tobytes() == getattr(whole.faces, name).tobytes(), name


def test_the_frame_behind_a_chunk_says_whether_the_next_one_begins_with_a_cut(results: list[ChunkResult]) -> None:
    assert [result.overlap for result in results] == [1, 1, 1, 1, 0]
    assert [bool(result.frames.cut[-1]) for result in results[:-1]] == [False, True, False, False]
    assert all(not result.frames.cut[0] for result in results)


def test_the_numbers_of_an_outcome_are_those_of_the_chunk_alone(archive: Archive, results: list[ChunkResult]) -> None:
    outcome = archive.analyzer.analyze(Task(0, 1))

    assert isinstance(outcome, Done)
    assert (outcome.frames, outcome.lost) == (GROUP, 0)
    assert outcome.faces == int(results[1].frames.faces[:GROUP].sum()) > 0
    assert outcome.seconds > 0


def test_results_do_not_depend_on_the_number_of_cores(archive: Archive, results: list[ChunkResult]) -> None:
    with Analyzer(archive.store, archive.plan, cores=1) as one, Analyzer(archive.store, archive.plan, cores=5) as five:
        files = {analyzer.analyze(Task(0, 1)) for analyzer in (one, five)}
        names = {outcome.file for outcome in files if isinstance(outcome, Done)}

    assert len(names) == 1
    assert names == {name for name in archive.store.names("chunks") if name.startswith("chunks/000000-00001")}


@pytest.mark.parametrize("fps", [0.0, 7.0])
def test_the_chunks_make_the_events_of_replay(clip: Path, tmp_path: Path, fps: float) -> None:
    store, plan = plan_clips(tmp_path / "archive", clip, fps=fps)
    tasks = [Task(0, number) for number in range(plan.recordings[0].chunks)]

    assert len(tasks) > 1
    assert events_of_archive(store, plan, tasks, tmp_path) == events_of_replay(tmp_path, clip, fps=fps)


def test_a_recording_that_is_not_divided_makes_the_events_of_replay(clip: Path, tmp_path: Path) -> None:
    store, plan = plan_clips(tmp_path / "archive", clip)

    found = events_of_archive(store, undivided(store, plan), [Task(0, WHOLE)], tmp_path)

    assert found == events_of_replay(tmp_path, clip)


def test_masks_and_picture_of_the_camera_apply(clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(MASKED)
    store, plan = plan_clips(tmp_path / "archive", clip, config=config, camera="door")
    tasks = [Task(0, number) for number in range(plan.recordings[0].chunks)]

    found = events_of_archive(store, plan, tasks, tmp_path)

    assert found == events_of_replay(tmp_path, clip, config=config, camera="door")
    assert 0 < found.count(b"\n") < events_of_replay(tmp_path, clip).count(b"\n")


def test_no_thread_is_left_after_a_chunk(archive: Archive) -> None:
    archive.result(0)
    archive.result(WHOLE)

    assert pipeline_threads() == []
