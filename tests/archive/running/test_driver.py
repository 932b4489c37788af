"""The run of an archive with invented results: what is written, what goes on, and what ends it."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.archive.plan import WHOLE, LeftOut
from ferstream.archive.running.driver import run_archive
from ferstream.archive.running.report import RunReport, summary
from ferstream.archive.running.run_hooks import RunHooks, RunProgress
from ferstream.archive.scheduling.actions import Limits
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Died, Differs, Failed, Report, Task
from ferstream.errors import ConfigError, DataError, ExitCode, FramesLostError, OutputError
from tests.support.fake_workers import FRAMES, MACHINE, FakeWorkers, invented_result, planned, store_result

QUICK = Limits(retry_s=0.0, restart_s=0.0)


class Archive:
    """An archive in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = LocalStore(folder)
        self.notices: list[str] = []
        self.progress: list[RunProgress] = []
        self.tasks: list[Task] = []

    def plan(self, *chunks: int, **fields: Any) -> None:
        planned(self.store, list(chunks), **fields)

    def run(self, workers: FakeWorkers | None = None, **options: Any) -> RunReport:
        workers = workers or FakeWorkers(self.store)
        options.setdefault("seam_fault", lambda before, after: "")
        hooks = RunHooks(on_progress=self.progress.append, on_notice=self.notices.append)
        try:
            return run_archive(self.store, workers=workers, hooks=hooks, limits=QUICK, **options)
        finally:
            self.tasks = workers.tasks
            assert workers.is_ended or not workers.tasks

    def answered(self, answer: Callable[[Task, int], Any], **options: Any) -> RunReport:
        """Run with workers that answer so."""
        return self.run(FakeWorkers(self.store, answer=answer), **options)

    def done(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"done/{number:06d}.json").read_bytes())
        return found

    def results(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "chunks").iterdir())

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_bytes())
        return found


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def test_a_run_writes_what_came_of_each_recording(archive: Archive) -> None:
    archive.plan(3, 0)
    report = archive.run()
    done = archive.done(0)
    assert [name[:19] for name in done.pop("files")] == [f"chunks/000000-0000{chunk}" for chunk in range(3)]
    assert done.pop("size") > 1000
    assert done == {"whole": False, "reason": "", "frames": 15, "faces": 15, "lost": 0, "seconds": 1.5}
    assert archive.done(1)["whole"] is True
    assert archive.done(1)["reason"] == "is a transport stream"
    assert report.exit_code == ExitCode.OK
    assert summary(report)[0] == "2 of 2 recordings analysed: 20 frames, 20 faces"


def test_the_report_has_what_was_done(archive: Archive) -> None:
    archive.plan(3, 0)
    archive.run()
    report = archive.report()
    assert (report["analysed"], report["remaining"], report["frames"], report["faces"], report["error"]) == (2, 0, 20, 20, "")
    assert sum(host["tasks"] for host in report["hosts"].values()) == 4
    assert all(host["frames_per_second"] == pytest.approx(FRAMES / 0.5) for host in report["hosts"].values())


def test_progress_ends_with_all_frames(archive: Archive) -> None:
    archive.plan(3, 0, 2)
    archive.run()
    frames = [progress.frames for progress in archive.progress]
    assert frames == sorted(frames)
    assert (frames[-1], archive.progress[-1].all_frames) == (30, 30)
    assert (archive.progress[-1].recordings, archive.progress[-1].all_recordings) == (3, 3)


def test_a_finished_archive_is_not_run_again(archive: Archive) -> None:
    archive.plan(3, 0)
    archive.run()
    report = archive.run()
    assert archive.tasks == []
    assert (report.analysed, report.frames, report.runs) == (2, 20, 2)


class Killed(BaseException):
    """Ends a run as SIGKILL would: nothing else of it happens."""


def killed_after(number: int) -> Callable[[], None]:
    """Return a function that ends the run at its n-th call."""
    calls = iter(range(number))

    def call() -> None:
        if next(calls, None) is None:
            raise Killed

    return call


@pytest.mark.parametrize("waits", range(1, 12))
def test_the_same_call_goes_on_wherever_a_run_was_ended(archive: Archive, waits: int) -> None:
    archive.plan(3, 0, 5, 2)
    with pytest.raises(Killed):
        archive.run(FakeWorkers(archive.store, count=1, on_wait=killed_after(waits)))
    before = set(archive.results()) if (archive.folder / "chunks").exists() else set()
    report = archive.run()
    assert len(archive.tasks) == 11 - len(before)
    assert report.analysed == 4
    assert report.frames == sum(archive.done(number)["frames"] for number in range(4)) == 55


def test_a_damaged_done_file_is_made_again_from_the_results(archive: Archive) -> None:
    archive.plan(3)
    archive.run()
    (archive.folder / "done/000000.json").write_bytes(b'{"files": [')
    report = archive.run()
    assert archive.tasks == []
    assert report.analysed == 1
    assert len(archive.done(0)["files"]) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_result_is_found_and_made_again(archive: Archive, damage: str) -> None:
    archive.plan(3)
    archive.run()
    (archive.folder / "done/000000.json").unlink()
    path = archive.folder / "chunks" / archive.results()[1]
    data = path.read_bytes()
    flipped = data.replace(b"frame_index", b"frame_inlex")
    path.write_bytes({"cut": data[:-20], "flipped": flipped, "empty": b""}[damage])
    report = archive.run()
    assert archive.tasks == [Task(0, 1)]
    assert report.analysed == 1
    assert path.read_bytes() == data
    assert archive.notices == ["0.mp4, chunk 1: the file of its result is damaged; it is analysed again"]


def test_a_store_that_damages_what_is_written_ends_the_run(archive: Archive) -> None:
    archive.plan(1)

    def answer(task: Task, attempt: int) -> Any:
        done = store_result(archive.store, invented_result(task))
        (archive.folder / done.file).write_bytes(b"")
        return done

    with pytest.raises(OutputError, match="is damaged again and again"):
        archive.answered(answer)


def test_two_different_results_of_a_chunk_are_an_error(archive: Archive) -> None:
    archive.plan(3)
    for score in (0.5, 0.25):
        store_result(archive.store, invented_result(Task(0, 1), score=score))
    with pytest.raises(DataError, match=r"000000-00001-.* and chunks/000000-00001-.* are different results .* do not compute the same"):
        archive.run()
    assert archive.run(mixed=True).analysed == 1


def test_a_recording_that_differs_from_its_plan_is_read_as_a_whole(archive: Archive) -> None:
    archive.plan(4, 2)
    report = archive.answered(lambda task, attempt: Differs("picture 7 has another pts") if task == Task(0, 2) else None)
    assert (archive.done(0)["whole"], archive.done(0)["reason"]) == (True, "picture 7 has another pts")
    assert report.exit_code == ExitCode.OK
    assert [(item.path, item.text) for item in report.whole] == [("/videos/0.mp4", "picture 7 has another pts")]
    assert [name[:12] for name in archive.results()] == ["000000-whole", "000001-00000", "000001-00001"]
    assert "  read as a whole: /videos/0.mp4: picture 7 has another pts" in summary(report)


def test_a_recording_whose_seams_do_not_fit_is_read_as_a_whole(archive: Archive) -> None:
    archive.plan(3, 2)
    report = archive.run(seam_fault=lambda before, after: "the seam differs" if (before.recording, before.chunk) == (0, 1) else "")
    assert (archive.done(0)["whole"], archive.done(0)["reason"]) == (True, "the seam differs")
    assert not archive.done(1)["whole"]
    assert report.counts.whole == 1


def test_a_recording_that_fails_is_named_and_the_others_are_analysed(archive: Archive) -> None:
    archive.plan(2, 2, 2)
    report = archive.answered(lambda task, attempt: Failed("has gone", is_final=True) if task.recording == 1 else None)
    assert archive.done(1) == {"failed": "has gone"}
    assert (report.analysed, report.exit_code) == (2, ExitCode.SOURCE)
    assert "  FAILED: /videos/1.mp4: has gone" in summary(report)
    assert "1.mp4 FAILED: has gone" in archive.notices
    assert archive.progress[-1].frames == archive.progress[-1].all_frames


def test_a_failed_recording_is_tried_again_by_the_next_run(archive: Archive) -> None:
    archive.plan(2, 2)
    archive.answered(lambda task, attempt: Failed("has gone", is_final=True) if task.recording == 1 else None)
    assert archive.run().exit_code == ExitCode.OK
    assert archive.tasks[0].recording == 1
    assert archive.done(1)["frames"] == 10


def test_a_recording_that_crashes_three_workers_fails_alone(archive: Archive) -> None:
    archive.plan(2, 1)
    report = archive.answered(lambda task, attempt: "crashed (SIGSEGV)" if task == Task(0, 1) else None)
    assert archive.done(0)["failed"] == "3 workers crashed at it: crashed (SIGSEGV)"
    assert (report.analysed, report.counts.crashes) == (1, 3)


def test_files_that_were_left_out_are_named_with_exit_code_3(archive: Archive) -> None:
    archive.plan(1, left_out=(LeftOut("/videos/broken.mp4", "is not a video"),))
    report = archive.run()
    assert report.exit_code == ExitCode.SOURCE
    assert "  left out: /videos/broken.mp4: is not a video" in summary(report)


def test_lost_frames_are_exit_code_75(archive: Archive) -> None:
    archive.plan(0, 1)
    report = archive.answered(
        lambda task, attempt: store_result(archive.store, invented_result(task, lost=2)) if not task.recording else None
    )
    assert (report.lost, report.exit_code) == (2, ExitCode.FRAMES_LOST)
    assert "  frames LOST: /videos/0.mp4: 2 frames" in summary(report)
    assert archive.run().exit_code == ExitCode.FRAMES_LOST


def test_a_full_disk_ends_the_run_and_it_goes_on(archive: Archive) -> None:
    archive.plan(5)
    with pytest.raises(OutputError, match="no space left"):
        archive.answered(lambda task, attempt: Failed("no space left on device", stops_all=True) if task.chunk == 3 else None)
    assert archive.report()["error"].startswith("no space left on device")
    assert archive.run().analysed == 1
    assert archive.tasks == [Task(0, 3), Task(0, 4)]


def test_a_machine_that_is_not_that_of_the_plan_is_refused(archive: Archive) -> None:
    archive.plan(3)
    other = MACHINE | {"cpu": "amx"}
    with pytest.raises(ConfigError, match=r"host-\d is not as the machine of the plan: cpu is amx, in the plan avx2"):
        archive.run(FakeWorkers(archive.store, machine=lambda worker: other))
    assert archive.tasks == []


def test_one_refused_machine_leaves_the_work_to_the_others(archive: Archive) -> None:
    archive.plan(3)
    report = archive.run(FakeWorkers(archive.store, machine=lambda worker: MACHINE if worker else {"cpu": "amx"}))
    assert list(report.hosts) == ["host-1"]
    assert len([text for text in archive.notices if "worker 0 is refused" in text]) == 1


def test_mixed_machines_are_accepted_with_a_notice_where_asked_for(archive: Archive) -> None:
    archive.plan(3)
    report = archive.run(FakeWorkers(archive.store, machine=lambda worker: MACHINE if worker else {"cpu": "amx"}), mixed=True)
    assert set(report.hosts) == {"host-0", "host-1"}
    assert [text for text in archive.notices if "its results may differ" in text and text.startswith("host-0")]


def test_a_stop_ends_the_run_in_order_and_the_same_call_goes_on(archive: Archive) -> None:
    archive.plan(5)
    stop = threading.Event()
    workers = FakeWorkers(archive.store, count=1, on_wait=lambda: stop.set() if len(workers.tasks) == 2 else None)
    with pytest.raises(FramesLostError, match="stopped: 0 of 1 recordings are analysed; the same command goes on"):
        archive.run(workers, stop=stop)
    assert workers.is_ended
    assert archive.report()["error"].startswith("stopped")
    assert archive.run().analysed == 1
    assert len(archive.tasks) <= 3


def test_a_second_run_at_the_same_time_is_refused_and_the_first_is_named(archive: Archive) -> None:
    archive.plan(1)
    with (archive.folder / ".lock").open("w") as other:
        other.write("process 4711 on anna\n")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="process 4711 on anna works at this archive"):
            archive.run()
    assert archive.run().analysed == 1


def test_what_killed_workers_have_left_is_removed(archive: Archive) -> None:
    archive.plan(1)
    left = archive.folder / "chunks" / ".000000-00000-a.npz.0123.part"
    left.parent.mkdir()
    left.write_bytes(b"half")
    archive.run()
    assert not left.exists()


def test_a_folder_without_a_plan_is_an_error(archive: Archive) -> None:
    with pytest.raises(ConfigError, match=r"has no plan.json; make it with ferstream archive plan"):
        archive.run()


def test_a_disk_that_is_full_for_the_driver_ends_the_run(archive: Archive) -> None:
    archive.plan(1)

    class Full(LocalStore):
        def write(self, name: str, data: bytes) -> None:
            if name.startswith("done/"):
                raise OutputError(f"cannot write {name}: No space left on device")
            super().write(name, data)

    store = archive.store
    archive.store = Full(archive.folder)
    with pytest.raises(OutputError, match="No space left"):
        archive.run()
    archive.store = store
    assert archive.run().analysed == 1
    assert archive.tasks == []


def test_whole_recordings_are_begun_first_the_longest_at_the_beginning(archive: Archive) -> None:
    archive.plan(1, 0, 1, 0)
    archive.run(FakeWorkers(archive.store, count=1))
    assert archive.tasks == [Task(1, WHOLE), Task(3, WHOLE), Task(0, 0), Task(2, 0)]


def test_an_unused_report_of_a_dead_worker_changes_nothing(archive: Archive) -> None:
    archive.plan(2)

    class Doubtful(FakeWorkers):
        def wait(self, timeout_s: float) -> list[Report]:
            return [*super().wait(timeout_s), Died(1, "was killed by SIGKILL", is_crash=False)]

    assert archive.run(Doubtful(archive.store)).analysed == 1
