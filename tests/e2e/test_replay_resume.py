"""The real command, killed at any moment, goes on and ends with the bytes of a run that was not killed."""

from __future__ import annotations

import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import av
import pytest

from tests.support.clips import write_clip
from tests.support.daemon import FERSTREAM, WAIT_S, clean_environment, ferstream
from tests.support.portraits import write_portrait_clip

CLIPS = 6
LONGEST_S = 2.5
"""About as long as the command needs for the recordings, once it has opened its results."""
POLL_S = 0.02


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings with and without faces, in a folder."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(CLIPS):
        path = folder / f"clip-{number}.mp4"
        write_portrait_clip(path, frames=25) if number % 2 == 0 else write_clip(path, frames=20)
    return folder


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of a run that was not killed."""
    out = tmp_path_factory.mktemp("whole")
    done = ferstream(*command(clips), cwd=out)
    assert done.returncode == 0, done.stderr
    return results(out)


def command(clips: Path) -> list[str]:
    return ["replay", str(clips), "--events", "events.jsonl", "--table", "table.parquet", "--video", "videos", "--blur"]


def results(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def run_and_kill(clips: Path, out: Path, after_s: float, number: signal.Signals = signal.SIGKILL) -> int:
    """Start the command, kill it some time after it has opened its results, and return its exit status."""
    running = [*FERSTREAM, *command(clips), "--resume"]
    with subprocess.Popen(running, cwd=out, env=clean_environment(), stderr=subprocess.PIPE, text=True) as process:
        opened = out / "table.parquet.rows.part"
        opened.unlink() if not (out / "events.jsonl.resume").exists() and opened.exists() else None
        for _ in range(round(WAIT_S / POLL_S)):
            if process.poll() is not None or opened.exists():
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
        with suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.send_signal(number)
        process.communicate()
        return process.returncode


def check_kills(clips: Path, out: Path, whole: dict[str, bytes], kills: int, seed: int) -> None:
    moments = random.Random(seed)
    killed = sum(run_and_kill(clips, out, moments.uniform(0, LONGEST_S)) == -signal.SIGKILL for _ in range(kills))
    done = ferstream(*command(clips), "--resume", cwd=out)
    assert done.returncode == 0, done.stderr
    found = results(out)
    assert sorted(found) == sorted(whole)
    assert [name for name in whole if found[name] != whole[name]] == []
    assert killed > 0


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(clips: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Five processes, each of which loads the models."""
    check_kills(clips, tmp_path, whole, kills=3, seed=11)


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_with_the_same_bytes(clips: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    for seed in range(5):
        out = tmp_path / str(seed)
        out.mkdir()
        check_kills(clips, out, whole, kills=4, seed=seed)


def test_a_run_that_is_interrupted_leaves_videos_that_play(clips: Path, tmp_path: Path) -> None:
    assert run_and_kill(clips, tmp_path, 1.0, signal.SIGINT) in {0, 75}
    videos = sorted((tmp_path / "videos").iterdir())
    assert videos
    for video in videos:
        assert video.suffix == ".mp4"
        with av.open(str(video)) as container:
            assert next(container.decode(video=0), None) is not None
