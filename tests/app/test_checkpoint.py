"""What a checkpoint remembers, and what it says of a replay that is another one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.checkpoint import FORMAT, Checkpoint, FinishedRecording, Progress, check_results, checkpoint_path, identity_of_file
from ferstream.app.recordings import Recording
from ferstream.errors import ConfigError, OutputError

Change = Callable[[Path], object]


def identity(folder: Path, **changes: Any) -> dict[str, Any]:
    """What a replay of the files of a folder is made of."""
    recordings = [identity_of_file(Recording(path, path.stem, None)) for path in sorted(folder.glob("*.mp4"))]
    return {"format": FORMAT, "recordings": recordings, "model": "m/1", "settings": {"detection": {"score": 0.7}}} | changes


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(bytes(1000))
    return folder


@pytest.fixture
def stored(clips: Path, tmp_path: Path) -> Path:
    """The checkpoint of a replay that has finished its first recording."""
    (tmp_path / "out.jsonl").write_text("line\n" * 3)
    made = Checkpoint(tmp_path / "out.jsonl.resume", identity(clips))
    made.add(FinishedRecording("a", 3, 77), {"events": 10}, {"events": tmp_path / "out.jsonl"}, finishing=False)
    return tmp_path / "out.jsonl.resume"


def test_the_progress_is_that_of_the_earlier_process(clips: Path, stored: Path) -> None:
    progress = Checkpoint(stored, identity(clips)).read()
    assert progress is not None
    assert progress.finished == (FinishedRecording("a", 3, 77),)
    assert (progress.sizes, progress.finishing) == ({"events": 10}, False)
    assert checkpoint_path([stored.with_suffix("")]) == stored
    assert [path.name for path in stored.parent.glob("*.part")] == []


def test_without_a_file_there_is_no_progress(clips: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "none.resume", identity(clips))
    assert checkpoint.read() is None
    checkpoint.remove()


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def another_head(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"\1" + bytes(before.st_size - 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


RECORDINGS: dict[str, tuple[Change, str]] = {
    "longer": (lambda folder: append(folder / "a.mp4"), r"a.mp4 has changed since the run that is to go on"),
    "newer": (lambda folder: os.utime(folder / "b.mp4", ns=(1, 1)), r"b.mp4 has changed"),
    "another head": (lambda folder: another_head(folder / "b.mp4"), r"b.mp4 has changed"),
    "gone": (lambda folder: (folder / "b.mp4").unlink(), "there are 1 recordings, and the run that is to go on had 2"),
    "one more": (lambda folder: (folder / "c.mp4").touch(), "there are 3 recordings"),
    "one between": (lambda folder: (folder / "aa.mp4").touch(), r"b.mp4 was where .*aa.mp4 is now"),
}


@pytest.mark.parametrize("change", RECORDINGS)
def test_recordings_that_have_changed_are_an_error(clips: Path, stored: Path, change: str) -> None:
    do, problem = RECORDINGS[change]
    do(clips)
    with pytest.raises(ConfigError, match=f"--resume: .*{problem}.*; leave out --resume to begin again"):
        Checkpoint(stored, identity(clips)).read()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": "m/2"}, "model is m/2 now, and was m/1 in the run that is to go on"),
        ({"settings": {"detection": {"score": 0.5}}}, r"settings.detection.score is 0.5 now, and was 0.7"),
        ({"more": 1}, "more is 1 now, and was None"),
        ({"format": FORMAT + 1}, "the checkpoint is of another version of ferstream"),
    ],
)
def test_another_replay_is_an_error(clips: Path, stored: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Checkpoint(stored, identity(clips, **changes)).read()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"identity": 1, "progress": {"finished": [1]}}', '{"identity": 1, "progress": 2}', "\0"]
)
def test_a_damaged_file_is_an_error(clips: Path, stored: Path, text: str) -> None:
    stored.write_text(text)
    with pytest.raises(ConfigError, match=r"out.jsonl.resume is damaged; leave out --resume to begin again"):
        Checkpoint(stored, identity(clips)).read()


@pytest.mark.parametrize("recordings", [None, 1, [1], [{"path": 3}]])
def test_a_file_of_another_form_is_an_error(clips: Path, stored: Path, recordings: Any) -> None:
    content = json.loads(stored.read_text())
    content["identity"]["recordings"] = recordings
    stored.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="leave out --resume"):
        Checkpoint(stored, identity(clips)).read()


def progress_of(folder: Path, size: int) -> Progress:
    checkpoint = Checkpoint(folder / "x.resume", {})
    checkpoint.add(FinishedRecording("a", 0, 4), {"events": size}, {"events": folder / "out.jsonl"}, finishing=False)
    return checkpoint.progress


RESULTS: dict[str, Change] = {
    "missing": lambda out: out.unlink(),
    "shorter": lambda out: out.write_text("line"),
    "another": lambda out: out.write_text("wine\n" * 3),
}


@pytest.mark.parametrize("change", RESULTS)
def test_results_that_are_not_as_they_were_left_are_an_error(tmp_path: Path, change: str) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("line\n" * 3)
    progress = progress_of(tmp_path, 10)
    append(out)  # of an unfinished recording
    check_results(progress, {"events": out}, {})
    RESULTS[change](out)
    with pytest.raises(ConfigError, match=r"out.jsonl is not as the run that is to go on left it"):
        check_results(progress, {"events": out}, {})


def test_a_video_of_another_size_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").touch()
    progress = progress_of(tmp_path, 0)
    video = tmp_path / "a.mp4"
    with pytest.raises(ConfigError, match=r"a.mp4 is not as the run"):
        check_results(progress, {}, {"a": video})
    video.write_bytes(bytes(4))
    check_results(progress, {}, {"a": video, "b": tmp_path / "b.mp4"})


def test_a_checkpoint_that_cannot_be_written_or_read_is_an_error(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write the checkpoint .*No such file or directory"):
        Checkpoint(tmp_path / "nowhere" / "x.resume", {}).add(FinishedRecording("a", 0), {}, {}, finishing=False)
    with pytest.raises(OutputError, match=r"--resume: cannot read .*Is a directory"):
        Checkpoint(clips, {}).read()
