"""What ``ferstream archive run`` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.archive.running.estimate import Estimate, Measured, Remaining
from ferstream.archive.running.report import Earlier, HostWork
from ferstream.archive.running.run_hooks import RunProgress
from ferstream.archive.storage.store import LocalStore
from ferstream.archive.tasks import Failed
from ferstream.cli.archive_progress import RunDisplay, duration, progress_line
from ferstream.cli.archive_run import estimate_lines, run_and_show
from ferstream.errors import ExitCode
from tests.support.fake_workers import FakeWorkers, planned

LEFT = Remaining(9, 10, 2, 60, 90_000, 3600.0, 60.0)
MEASURED = Measured(source="a.mp4", frames=250, faces=500, seconds=2.5, core_seconds=5.0, size=34_000)


def test_what_is_left_and_what_it_costs() -> None:
    lines = estimate_lines(Estimate(LEFT, MEASURED, Earlier()), 4, is_local=False)
    assert lines == [
        "left: 9 of 10 recordings, 90,000 frames, 1.00 hours of video",
        "  2 are read by one worker each, because they cannot be divided",
        "rate: 100.0 frames/s of one worker (measured here with 250 frames of a.mp4)",
        "cost: 0.50 core hours",
        "time: 4 min with 4 workers",
        "results: 11.0 MB until they are merged",
        "merged: about 10.8 MB of Parquet",
    ]


def test_rates_of_earlier_runs_say_so() -> None:
    lines = estimate_lines(Estimate(LEFT, None, Earlier({"anna": HostWork(1, 500, 10.0)})), 1, is_local=False)
    assert lines[2:] == ["rate: 50.0 frames/s of one worker (of the runs before, report.json)", "time: 30 min with 1 worker"]


def test_an_unknown_rate_is_said() -> None:
    assert estimate_lines(Estimate(LEFT, None, Earlier()), 2, is_local=True)[-1] == "rate: unknown; run it for a few minutes, and ask again"


def test_nothing_left_is_said() -> None:
    left = Remaining(0, 10, 0, 0, 0, 0.0, 0.0)
    assert estimate_lines(Estimate(left, None, Earlier()), 2, is_local=True) == ["all 10 recordings are analysed"]


def test_the_progress_on_one_line() -> None:
    progress = RunProgress(
        frames=25_000,
        all_frames=100_000,
        recordings=3,
        all_recordings=12,
        frames_per_s=187.4,
        remaining_s=400.0,
        alive=2,
        workers=2,
        retries=1,
    )
    assert progress_line(progress) == "25.0%, 3/12 recordings, 187 frames/s, 7 min left, 2/2 workers, 1 repeated"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (200_000, "2.3 days")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_run_ends_with_its_summary_and_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = LocalStore(tmp_path)
    planned(store, [1, 0])
    workers = FakeWorkers(store, answer=lambda task, attempt: Failed("has gone", is_final=True) if task.is_whole else None)
    assert run_and_show(store, workers=workers, mixed=False, quiet=False) == ExitCode.SOURCE
    assert capsys.readouterr().err.splitlines() == [
        "1.mp4 FAILED: has gone",
        "1 of 2 recordings analysed: 5 frames, 5 faces",
        "  FAILED: /videos/1.mp4: has gone",
    ]


def test_a_quiet_run_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = LocalStore(tmp_path)
    planned(store, [1, 0])
    assert run_and_show(store, workers=FakeWorkers(store), mixed=False, quiet=True) == ExitCode.OK
    assert capsys.readouterr().err == ""


def test_a_display_without_a_terminal_prints_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with RunDisplay(quiet=False) as display:
        display.hooks.on_notice("0.mp4, chunk 3: worker 1 was killed by SIGKILL")
    assert capsys.readouterr().err == "0.mp4, chunk 3: worker 1 was killed by SIGKILL\n"
