"""A replay that goes on where it was interrupted: the same bytes as without an interruption, or a clear error."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.checkpoint import FinishedRecording
from ferstream.app.replay import Outcome, ReplayHooks, ReplayOptions, replay_all
from ferstream.errors import ConfigError
from tests.support.clips import write_clip

pytestmark = pytest.mark.usefixtures("no_new_threads")


class Interrupted(Exception):
    """Ends a replay."""


class Job:
    """A replay of four recordings into events, a Parquet table and videos."""

    def __init__(self, folder: Path, portrait: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.clips = [folder / "clips" / f"{letter}.mp4" for letter in "abcd"]
        self.out = folder / "out"
        self.clips[0].parent.mkdir()
        self.out.mkdir()
        for clip in self.clips:
            clip.write_bytes(portrait.read_bytes())
        self.finished: list[str] = []
        self.outcomes: list[str] = []

    def run(self, *, stop_after: int | None = None, **options: Any) -> None:
        """Replay; stop when so many recordings are finished."""
        given: dict[str, Any] = {"table": self.out / "table.parquet", "video": self.out / "videos", "model": str(self.model)} | options
        given.setdefault("events", str(self.out / "events.jsonl"))
        self.outcomes = []

        def on_outcome(outcome: Outcome) -> None:
            self.outcomes.append(outcome.camera)
            if len(self.outcomes) == stop_after:
                raise Interrupted

        def on_resumed(finished: Any) -> None:
            self.finished = [recording.camera for recording in finished]

        hooks = ReplayHooks(on_outcome=on_outcome, on_resumed=on_resumed)
        replay_all(ReplayOptions(videos=(self.clips[0].parent,), **given), hooks=hooks)

    def interrupt(self, after: int, **options: Any) -> None:
        with pytest.raises(Interrupted):
            self.run(stop_after=after, **options)

    def results(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.out)): path.read_bytes() for path in sorted(self.out.rglob("*")) if path.is_file()}


@pytest.fixture
def job(tmp_path: Path, portrait_clip: Path, tiny_model: Path) -> Job:
    return Job(tmp_path, portrait_clip, tiny_model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, portrait_clip: Path, tiny_model: Path) -> dict[str, bytes]:
    """The results of a replay that was not interrupted."""
    job = Job(tmp_path_factory.mktemp("whole"), portrait_clip, tiny_model)
    job.run()
    return job.results()


def test_a_replay_goes_on_behind_the_recordings_that_are_finished(job: Job, whole: dict[str, bytes]) -> None:
    job.interrupt(2)
    assert not (job.out / "table.parquet").exists()
    with (job.out / "events.jsonl").open("ab") as file:
        file.write(b'{"half')  # as a process leaves it that is killed
    job.run(resume=True)
    assert (job.finished, job.outcomes) == (["a", "b"], ["c", "d"])
    assert job.results() == whole
    assert sorted(whole) == ["events.jsonl", "table.parquet", "table.tracks.parquet", *(f"videos/{letter}.mp4" for letter in "abcd")]


def test_a_replay_may_be_interrupted_again_and_again(job: Job, whole: dict[str, bytes]) -> None:
    job.interrupt(1)
    for _ in range(2):
        job.interrupt(1, resume=True)
    job.run(resume=True)
    assert (job.finished, job.outcomes) == (["a", "b", "c"], ["d"])
    assert job.results() == whole


def test_a_replay_that_was_interrupted_before_its_tables_were_made_makes_them(job: Job, whole: dict[str, bytes]) -> None:
    job.interrupt(4)
    job.run(resume=True)
    assert job.outcomes == []
    assert job.results() == whole


def test_tables_that_were_made_before_the_interruption_are_kept(job: Job) -> None:
    tables: dict[str, Any] = {"table": job.out / "table.csv", "video": None}
    job.run(**tables)
    whole = job.results()
    job.interrupt(4, **tables)
    (job.out / "table.csv.rows.part").replace(job.out / "table.csv")  # between the two tables
    job.run(resume=True, **tables)
    assert job.results() == whole


def test_without_an_interrupted_run_it_begins_anew(job: Job, whole: dict[str, bytes]) -> None:
    job.run(resume=True)
    assert (job.finished, job.outcomes) == ([], ["a", "b", "c", "d"])
    assert job.results() == whole


def test_without_the_option_an_interrupted_run_is_forgotten(job: Job, whole: dict[str, bytes]) -> None:
    job.interrupt(2)
    job.run()
    assert job.outcomes == ["a", "b", "c", "d"]
    assert job.results() == whole


CHANGES: dict[str, tuple[Callable[[Job], object], dict[str, Any], str]] = {
    "recording": (lambda job: os.utime(job.clips[3], ns=(1, 1)), {}, r"d.mp4 has changed"),
    "rate": (lambda job: None, {"max_hz": 2.0}, r"options.--max-hz is 2.0 now, and was 0.0"),
    "settings": (
        lambda job: (job.folder / "f.toml").write_text("[detection]\nscore = 0.5\n"),
        {"config": "f.toml"},
        r"settings.detection.score is 0.5 now, and was 0.7",
    ),
    "rows": (lambda job: (job.out / "table.parquet.rows.part").write_text("camera\n"), {}, r"rows.part is not as the run"),
    "video": (lambda job: (job.out / "videos" / "a.mp4").write_text("x"), {}, r"a.mp4 is not as the run"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_an_error_and_nothing_is_touched(job: Job, change: str) -> None:
    do, options, problem = CHANGES[change]
    if "config" in options:
        options = {"config": job.folder / options["config"]}
    job.interrupt(2)
    do(job)
    before = job.results()
    with pytest.raises(ConfigError, match=rf"--resume: .*{problem}.*leave out --resume to begin again"):
        job.run(resume=True, **options)
    assert job.results() == before


@pytest.mark.parametrize("options", [{"events": None, "table": None, "video": None}, {"events": "-"}, {"events": "/dev/null"}])
def test_results_that_are_no_files_cannot_be_continued(job: Job, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--resume goes on with files"):
        job.run(resume=True, **options)


def test_lost_frames_of_finished_recordings_are_remembered(job: Job) -> None:
    whole = bytearray(write_clip(job.folder / "x.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=40).read_bytes())
    for start in range(len(whole) // 3, len(whole) - 400, 900):
        whole[start : start + 300] = bytes(300)
    (job.clips[0].parent / "0.mkv").write_bytes(whole)
    job.interrupt(1, video=None)
    seen: list[FinishedRecording] = []
    given = ReplayOptions(
        videos=(job.clips[0].parent,),
        events=str(job.out / "events.jsonl"),
        table=job.out / "table.parquet",
        model=str(job.model),
        resume=True,
    )
    replay_all(given, hooks=ReplayHooks(on_resumed=seen.extend))
    assert [(recording.camera, recording.lost > 0) for recording in seen] == [("0", True)]
