"""What the rest of an archive will cost, with an invented analyzer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from ferstream.archive.plan import Chunk, Plan, chunks_name, decode_chunks
from ferstream.archive.plan_file import read_plan
from ferstream.archive.running.driver import run_archive
from ferstream.archive.running.estimate import FRAMES, Estimate, Measured, Remaining, estimate, shortened
from ferstream.archive.running.report import Earlier, HostWork
from ferstream.archive.storage.store import LocalStore, Store
from ferstream.archive.tasks import Differs, Outcome, Task
from tests.support.fake_workers import FakeWorkers, invented_result, planned, store_result


class Analyzer:
    """Analyses chunks of a scratch archive: a face in each picture."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan

    def analyze(self, task: Task) -> Outcome:
        name = chunks_name(task.recording)
        chunk = decode_chunks(self.store.read(name), name)[task.chunk]
        return store_result(self.store, invented_result(task, chunk.frames))


def make(store: Store, plan: Plan) -> AbstractContextManager[Analyzer]:
    return nullcontext(Analyzer(store, plan))


class Refusing(Analyzer):
    """Finds other pictures than planned."""

    def analyze(self, task: Task) -> Outcome:
        return Differs("other pictures")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "archive")


def run_some(store: LocalStore, tasks: int) -> None:
    """Analyse so many chunks of an archive."""

    class Enough(Exception):
        pass

    def check() -> None:
        if len(workers.tasks) >= tasks:
            raise Enough

    workers = FakeWorkers(store, count=1, on_wait=check)
    with pytest.raises(Enough):
        run_archive(store, workers=workers, seam_fault=lambda before, after: "")


def test_all_is_left_of_a_new_archive(store: LocalStore) -> None:
    planned(store, [3, 0, 5])
    found = estimate(store, read_plan(store), make)
    assert found.remaining.seconds == pytest.approx(45 / 25)
    assert found.remaining.longest_s == pytest.approx(0.2)
    assert found.remaining == Remaining(3, 3, 1, 9, 45, found.remaining.seconds, found.remaining.longest_s)
    assert found.measured is not None
    assert (found.measured.source, found.measured.frames) == ("2.mp4", 5)


def test_what_is_analysed_is_not_left(store: LocalStore) -> None:
    planned(store, [3, 4])
    run_some(store, 5)
    left = estimate(store, read_plan(store), make).remaining
    assert (left.recordings, left.all_recordings) == (1, 2)
    assert left.chunks in {2, 3}
    assert left.frames == left.chunks * 5


def test_nothing_is_written_into_the_archive(store: LocalStore) -> None:
    planned(store, [3])
    before = sorted(store.folder.rglob("*"))
    estimate(store, read_plan(store), make)
    assert sorted(store.folder.rglob("*")) == before


def test_without_a_divided_recording_the_rate_is_unknown(store: LocalStore) -> None:
    planned(store, [0, 0])
    found = estimate(store, read_plan(store), make)
    assert (found.measured, found.frames_per_s, found.seconds(2), found.core_hours) == (None, 0.0, None, None)


def test_a_piece_that_differs_from_the_plan_gives_no_rate(store: LocalStore) -> None:
    planned(store, [3])
    assert estimate(store, read_plan(store), lambda scratch, plan: nullcontext(Refusing(scratch, plan))).measured is None


def test_a_finished_archive_needs_no_measurement(store: LocalStore) -> None:
    planned(store, [3])
    run_archive(store, workers=FakeWorkers(store), seam_fault=lambda before, after: "")
    found = estimate(store, read_plan(store), make)
    assert found.measured is None
    assert found.remaining.recordings == found.remaining.frames == 0
    assert found.frames_per_s == pytest.approx(10.0)


HOUR = Remaining(10, 10, 0, 60, 90_000, 3600.0, 60.0)
MEASURED = Measured(source="a.mp4", frames=250, faces=500, seconds=2.5, core_seconds=5.0, size=34_000)


def test_the_cost_is_that_of_the_measured_piece() -> None:
    found = Estimate(HOUR, MEASURED, Earlier())
    assert found.frames_per_s == pytest.approx(100.0)
    assert found.core_hours == pytest.approx(0.5)
    assert found.result_bytes == pytest.approx(90_000 * 120 + 60 * 4000)
    assert found.dataset_bytes == pytest.approx(90_000 * 2 * 60)


def test_workers_share_the_work_as_far_as_there_are_cores() -> None:
    found = Estimate(HOUR, MEASURED, Earlier())
    assert found.seconds(1) == pytest.approx(900.0)
    assert found.seconds(10) == pytest.approx(90.0)
    assert found.seconds(10, cores=4) == pytest.approx(450.0)


def test_no_run_is_shorter_than_its_longest_piece() -> None:
    assert Estimate(HOUR, MEASURED, Earlier()).seconds(1000) == pytest.approx(900.0 / 60)


def test_rates_of_earlier_runs_go_before_the_measured_piece() -> None:
    earlier = Earlier({"anna": HostWork(3, 600, 10.0), "bert": HostWork(1, 200, 10.0)}, size=8000, frames=800)
    found = Estimate(HOUR, MEASURED, earlier)
    assert found.frames_per_s == pytest.approx(40.0)
    assert found.result_bytes == pytest.approx(900_000.0)


def test_a_long_chunk_is_shortened_to_what_is_measured() -> None:
    pts = np.arange(2000, dtype=np.int64)
    chunk = shortened(Chunk(number=7, first_frame=100, pts=pts, overlap=pts[:0]), 1, FRAMES)
    assert (chunk.number, chunk.first_frame, chunk.frames) == (1, 100, FRAMES)
    assert chunk.overlap[0] == FRAMES


def test_a_short_chunk_stays_as_it_is() -> None:
    pts = np.arange(300, dtype=np.int64)
    chunk = shortened(Chunk(number=7, first_frame=100, pts=pts, overlap=pts[:1]), 1, FRAMES)
    assert (chunk.frames, len(chunk.overlap)) == (300, 1)
