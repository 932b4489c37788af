"""Chunks that cannot be analysed: what is reported, and what is left behind."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ferstream.app.replay import ReplayOptions, replay_all
from ferstream.archive.plan import WHOLE, Chunk, Plan, chunks_name, decode_chunks, encode_chunks
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Differs, Done, Failed, Outcome, Task
from ferstream.archive.workers.analyzer import Analyzer
from ferstream.errors import ConfigError
from ferstream.inference.batch_classifier import BatchClassifier
from tests.support.archive_clips import GROUP, faces_clip, pipeline_threads, plan_clips, read, results_in


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Thirty pictures in three groups."""
    return faces_clip(tmp_path / "door.mp4", frames=3 * GROUP)


@pytest.fixture
def planned(clip: Path, tmp_path: Path) -> tuple[LocalStore, Plan]:
    """An archive of the clip."""
    return plan_clips(tmp_path / "archive", clip)


@pytest.fixture
def analyzer(planned: tuple[LocalStore, Plan]) -> Iterator[Analyzer]:
    """What analyses the clip; no thread is left at the end."""
    with Analyzer(*planned, cores=1) as made:
        yield made
    assert pipeline_threads() == []


def change_chunk(store: LocalStore, number: int, **fields: object) -> None:
    """Write another chunk into the plan."""
    chunks = decode_chunks(store.read(chunks_name(0)), "")
    changed: list[Chunk] = [replace(chunk, **fields) if chunk.number == number else chunk for chunk in chunks]  # type: ignore[arg-type]
    store.write(chunks_name(0), encode_chunks(tuple(changed)))


def test_pictures_that_are_not_those_of_the_plan_differ(planned: tuple[LocalStore, Plan], analyzer: Analyzer, tmp_path: Path) -> None:
    pts = decode_chunks(planned[0].read(chunks_name(0)), "")[1].pts
    change_chunk(planned[0], 1, pts=np.array([*pts[:-1], pts[-1] + 1]))

    outcome = analyzer.analyze(Task(0, 1))

    assert isinstance(outcome, Differs)
    assert "door.mp4: picture 19 is not as planned" in outcome.reason
    assert list(results_in(tmp_path / "archive")) == []
    assert pipeline_threads() == []
    assert isinstance(analyzer.analyze(Task(0, WHOLE)), Done)


def test_a_recording_that_has_another_size_fails_for_good(clip: Path, analyzer: Analyzer) -> None:
    with clip.open("ab") as file:
        file.write(b"more")

    outcome = analyzer.analyze(Task(0, 0))

    size = clip.stat().st_size
    expected = f"{clip}: has changed since it was planned: it has {size} bytes, and had {size - 4}"
    assert outcome == Failed(expected, is_final=True)


def test_a_recording_that_begins_otherwise_fails_for_good(clip: Path, analyzer: Analyzer) -> None:
    with clip.open("r+b") as file:
        file.seek(40)
        file.write(b"other")

    assert analyzer.analyze(Task(0, WHOLE)) == Failed(
        f"{clip}: has changed since it was planned: its beginning is another one", is_final=True
    )


def test_a_recording_that_is_gone_fails_for_good(clip: Path, analyzer: Analyzer) -> None:
    clip.unlink()

    assert analyzer.analyze(Task(0, 0)) == Failed(f"{clip}: cannot be read (No such file or directory)", is_final=True)


def test_a_chunk_that_the_plan_does_not_have_stops_all(analyzer: Analyzer) -> None:
    assert analyzer.analyze(Task(0, 7)) == Failed("plan/000000.json: has no chunk 7; plan the archive again", stops_all=True)


def test_chunks_that_are_missing_stop_all(planned: tuple[LocalStore, Plan], analyzer: Analyzer) -> None:
    planned[0].remove(chunks_name(0))

    assert analyzer.analyze(Task(0, 0)) == Failed("plan/000000.json: is missing; plan the archive again", stops_all=True)


def test_a_full_disk_stops_all_and_leaves_nothing(analyzer: Analyzer, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        outcome = analyzer.analyze(Task(0, 0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert isinstance(outcome, Failed)
    assert outcome.stops_all
    assert outcome.reason.startswith(f"cannot write {tmp_path / 'archive' / 'chunks'}/000000-00000-")
    assert outcome.reason.endswith("File too large")
    assert list(results_in(tmp_path / "archive")) == []


def failing(calls: int, error: Exception) -> object:
    """A replacement of the classifier that fails at some of its calls, one in each batch."""
    number = 0
    classify = BatchClassifier.__call__

    def call(self: BatchClassifier, crops: np.ndarray) -> np.ndarray:
        nonlocal number
        number += 1
        if number == calls:
            raise error
        return classify(self, crops)

    return call


@pytest.mark.parametrize("error", [RuntimeError("no answer"), MemoryError("no room")])
def test_a_frame_that_is_lost_by_an_error_fails_and_can_be_tried_again(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    monkeypatch.setattr(BatchClassifier, "__call__", failing(2, error))

    outcome = analyzer.analyze(Task(0, 0))

    assert outcome == Failed(f"inference failed: {type(error).__name__}: {error}")
    assert list(results_in(tmp_path / "archive")) == []
    assert pipeline_threads() == []
    assert isinstance(analyzer.analyze(Task(0, 0)), Done)


def test_frames_that_are_damaged_are_counted_as_replay_does(tmp_path: Path) -> None:
    clip = faces_clip(tmp_path / "door.ts", frames=3 * GROUP)
    content = bytearray(clip.read_bytes())
    for place in range(len(content) // 3, len(content) // 2):
        content[place] ^= 0x55
    clip.write_bytes(content)
    expected = replay_all(ReplayOptions(videos=(clip,)))[0]
    store, plan = plan_clips(tmp_path / "archive", clip)
    assert plan.recordings[0].undivided

    with Analyzer(store, plan, cores=1) as analyzer:
        outcome = analyzer.analyze(Task(0, WHOLE))

    assert isinstance(outcome, Done)
    assert outcome.lost == read(store, outcome).lost == expected.lost > 0
    assert (outcome.frames, outcome.faces) == (expected.frames, expected.faces)


def test_settings_of_another_version_are_an_error(planned: tuple[LocalStore, Plan]) -> None:
    store, plan = planned

    with pytest.raises(ConfigError, match="its settings are not those of this version"):
        Analyzer(store, replace(plan, settings={"detection": {"unheard": 1}}))


def descriptors() -> int:
    """Number of open files."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@pytest.mark.slow
def test_memory_and_descriptors_are_flat_over_many_chunks(planned: tuple[LocalStore, Plan], analyzer: Analyzer) -> None:
    def repeat(times: int) -> None:
        outcomes: list[Outcome] = [analyzer.analyze(Task(0, number % 4 - 1)) for number in range(times)]
        assert all(isinstance(outcome, Done) for outcome in outcomes)

    repeat(40)
    before = descriptors(), threading.active_count()
    memory = resident_mb()
    repeat(200)

    assert (descriptors(), threading.active_count()) == before
    assert resident_mb() - memory < 15
