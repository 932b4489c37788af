"""Recordings through the pipeline: names of cameras, files that cannot be read, and every way to end."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from av.stream import Disposition
from hypothesis import given
from hypothesis import strategies as st

from ferstream.app.assembly import engine, replay_mode
from ferstream.app.replay import Replayer, camera_name, camera_names, probe
from ferstream.errors import FerstreamError, FramesLostError, OutputError, SourceError
from ferstream.events.encode import Encoder
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import CameraSettings, Settings
from tests.support import containers
from tests.support.clips import write_clip, write_sound
from tests.support.recording_sink import RecordingSink
from tests.support.runners import Scripted

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
Json = MutableMapping[str, Any]


# -- names ---------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_any_file_name_gives_a_name_that_a_camera_may_have(text: str) -> None:
    name = camera_name(Path(text))
    assert CameraSettings(name=name, source="demo:").name == name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/videos/Front Door 2.mp4", "front-door-2"),
        ("a.b.mkv", "a-b"),
        ("...mp4", "video"),
        ("\u7384\u95a2.mp4", "video"),
        ("x" * 40 + ".mp4", "x" * 32),
        ("_under-score_.mp4", "_under-score_"),
    ],
)
def test_a_camera_is_named_after_its_file(file: str, name: str) -> None:
    assert camera_name(Path(file)) == name


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a/clip.mp4", "b/clip.mp4", "c/clip.mkv"], ["clip", "clip-2", "clip-3"]),
        (["clip.mp4", "clip-2.mp4", "x/clip.mp4"], ["clip", "clip-2", "clip-3"]),
        (["clip.mp4", "x/clip.mp4", "clip-2.mp4"], ["clip", "clip-3", "clip-2"]),
        (["Clip.mp4", "clip!.mp4", "clip .mp4"], ["clip", "clip-2", "clip-3"]),
        (["y" * 32 + "1.mp4", "y" * 32 + "2.mp4"], ["y" * 32, "y" * 30 + "-2"]),
        (["\u7384.mp4", "\u95a2.mp4"], ["video", "video-2"]),
        (["same.mp4", "same.mp4"], ["same", "same-2"]),
    ],
)
def test_recordings_of_one_name_are_cameras_of_their_own(files: list[str], names: list[str]) -> None:
    assert camera_names([Path(file) for file in files]) == names


@given(st.lists(st.sampled_from(["a", "a-2", "a-2-2", "A", "x" * 31, "x" * 32, "x" * 30 + "-2", "x" * 40, "\u7384"]), max_size=15))
def test_cameras_of_recordings_never_have_one_name(stems: list[str]) -> None:
    names = camera_names([Path(f"{index}/{stem}.mp4") for index, stem in enumerate(stems)])
    assert len(set(names)) == len(stems)
    for name in names:
        assert CameraSettings(name=name, source="demo:").name == name


# -- opening -------------------------------------------------------------------------------------


def test_a_recording_is_probed_for_its_size_and_length(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", size=(160, 96), frames=12))
    assert (info.width, info.height, info.frames, info.fps) == (160, 96, 12, 25.0)


def unreadable(folder: Path) -> dict[str, tuple[Path, str]]:
    text, empty = folder / "text.mp4", folder / "empty.mp4"
    text.write_text("not a video\n" * 50)
    empty.touch()
    return {
        "missing": (folder / "missing.mp4", "no such file"),
        "folder": (folder, "directory"),
        "text": (text, "text"),
        "empty": (empty, "empty"),
        "sound": (write_sound(folder / "sound.mp4"), "no video"),
    }


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "sound"])
def test_a_file_that_is_not_a_recording_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    path, reason = unreadable(tmp_path)[kind]
    with pytest.raises(SourceError, match=reason) as caught:
        probe(path)
    assert str(path) in str(caught.value)


# -- one recording -------------------------------------------------------------------------------


@pytest.fixture
def make_replayer(make_settings: MakeSettings, encoder: Encoder) -> Iterator[Callable[..., Replayer]]:
    """Makes replayers whose only sink is the one that is given; everything is closed at the end."""
    with ExitStack() as stack:

        def make(sink: RecordingSink, *, fatal: Fatal | None = None, **options: Any) -> Replayer:
            settings = make_settings(runtime={"shutdown_timeout_s": 20.0})
            output = SinkSet(encoder=encoder, sinks=(sink,), observer=Counters(), on_failure=None if fatal is None else fatal.report)
            made = stack.enter_context(engine(settings, mode=replay_mode(settings), make_outputs=lambda _: [output], fatal=fatal))
            return Replayer(engine=made, **options)

        yield make


def faces(sink: RecordingSink) -> list[Json]:
    return [event for message in sink.messages if (event := json.loads(message.payload))["schema"] == "ferstream.face/1"]


def test_every_frame_of_a_recording_is_analysed(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    sink, progress = RecordingSink(), list[tuple[str, int, int | None]]()
    outcome = make_replayer(sink, on_progress=lambda *report: progress.append(report)).replay(portrait_clip)
    assert (outcome.frames, outcome.faces, outcome.lost) == (10, 10, 0)
    assert (outcome.path, outcome.camera, outcome.info.frames) == (portrait_clip, "portrait", 10)
    assert progress[-1] == ("portrait", 10, 10)
    found = faces(sink)
    assert [event["frame"]["index"] for event in found] == [*range(10), 9]  # the last one says that the track left
    assert {event["track"]["id"] for event in found} == {"portrait-replay-1"}


def test_frames_are_thinned_by_media_time(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    assert make_replayer(RecordingSink(), analysis_fps=5.0).replay(portrait_clip).frames == 5


def test_a_replayer_runs_one_recording_after_the_other(make_replayer: Callable[..., Replayer], portrait_clip: Path, tmp_path: Path) -> None:
    sink = RecordingSink()
    replayer = make_replayer(sink)
    clip = write_clip(tmp_path / "cards.mp4", frames=4)
    outcomes = [replayer.replay(path, probe(path)) for path in (portrait_clip, clip, portrait_clip)]
    assert [(outcome.camera, outcome.frames, outcome.faces) for outcome in outcomes] == [
        ("portrait", 10, 10),
        ("cards", 4, 0),
        ("portrait", 10, 10),
    ]


def test_a_replay_that_is_stopped_is_not_complete(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "long.mp4", frames=500)  # twenty seconds at media speed
    sink = RecordingSink()
    replayer = make_replayer(sink, speed=1.0)
    progress: list[tuple[str, int, int | None]] = []

    def on_progress(*report: tuple[str, int, int | None]) -> None:
        progress.append(report)  # type: ignore[arg-type]
        if report[-1] is not None:  # None: the file is not open yet
            replayer.stop.set()

    replayer.on_progress = on_progress  # type: ignore[assignment]
    with pytest.raises(FramesLostError, match=r"long\.mp4: stopped after \d+ frames"):
        replayer.replay(clip)
    totals = [total for _, _, total in progress if total is not None]
    assert totals[-1] == 500  # 12 of 500, not 12 of 12
    assert set(totals) == {500}
    states = [json.loads(message.payload) for message in sink.messages if message.schema == "ferstream.state/1"]
    assert states[-1]["status"] == "offline"


def test_a_recording_that_cannot_be_read_to_its_end_is_an_error(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=5)
    info = probe(clip)
    clip.unlink()
    with pytest.raises(SourceError, match="no such file"):
        make_replayer(RecordingSink()).replay(clip, info)


def test_damaged_frames_are_lost_and_counted(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    content = bytearray(write_clip(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=40).read_bytes())
    for start in range(len(content) // 3, len(content) - 400, 900):
        content[start : start + 300] = bytes(300)
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(content)
    outcome = make_replayer(RecordingSink()).replay(damaged)
    assert outcome.lost > 0
    assert outcome.frames < 40


def test_an_error_of_ferstream_ends_a_replay_as_it_is(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    sink = RecordingSink()
    sink.write_error = OutputError("cannot write events: disk full")
    with pytest.raises(OutputError, match="disk full"):
        make_replayer(sink, fatal=Fatal()).replay(portrait_clip)


def test_any_other_error_is_named_with_the_part_that_failed(make_replayer: Callable[..., Replayer], portrait_clip: Path) -> None:
    sink = RecordingSink()
    sink.write_error = Scripted("went away")
    with pytest.raises(FerstreamError, match="recording failed: went away") as caught:
        make_replayer(sink, fatal=Fatal()).replay(portrait_clip)
    assert isinstance(caught.value.__cause__, Scripted)


# -- pipes, several videos, changes of the size ------------------------------------------------------


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Makes a FIFO into which a thread writes a recording once."""
    threads: list[threading.Thread] = []

    def start(recording: Path) -> Path:
        path = tmp_path / "front-door"
        os.mkfifo(path)
        content = recording.read_bytes()
        threads.append(threading.Thread(target=lambda: path.write_bytes(content), daemon=True))
        threads[0].start()
        return path

    yield start
    for thread in threads:
        thread.join(20)


def test_a_pipe_is_replayed_in_one_pass(make_replayer: Callable[..., Replayer], fifo: Callable[[Path], Path], tmp_path: Path) -> None:
    path = fifo(containers.portrait_of_sizes(tmp_path / "portrait.ts", [256]))
    outcome = make_replayer(RecordingSink()).replay(path)
    assert (outcome.frames, outcome.faces, outcome.lost, outcome.camera) == (10, 10, 0, "front-door")
    assert (outcome.info.width, outcome.info.codec) == (256, "h264 (yuv420p)")


def test_a_pipe_is_not_probed(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(SourceError, match="can be read only once"):
        probe(path)


def test_a_replay_that_waits_for_a_pipe_can_be_stopped(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    path = tmp_path / "silent"
    os.mkfifo(path)
    replayer = make_replayer(RecordingSink())
    replayer.on_progress = lambda camera, done, total: replayer.stop.set()
    with pytest.raises(FramesLostError, match="stopped after 0 frames"):
        replayer.replay(path)


def test_the_standard_input_has_a_name_of_its_own() -> None:
    assert camera_name(Path("-")) == "stdin"


def test_a_cover_is_not_the_video(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    streams = [((96, 64), Disposition.default), ((320, 240), Disposition.attached_pic)]
    outcome = make_replayer(RecordingSink()).replay(containers.several_videos(tmp_path / "a.mp4", streams))
    assert (outcome.frames, outcome.lost, outcome.info.choice) == (10, 0, "reads stream 0: mpeg4 96 x 64; ignores 1 cover picture")


def test_a_face_keeps_its_track_when_the_picture_changes_its_size(make_replayer: Callable[..., Replayer], tmp_path: Path) -> None:
    sink = RecordingSink()
    outcome = make_replayer(sink).replay(containers.portrait_of_sizes(tmp_path / "portrait.ts", [480, 240, 640]))
    assert (outcome.frames, outcome.faces, outcome.lost) == (30, 30, 0)
    found = faces(sink)
    assert {event["track"]["id"] for event in found} == {"portrait-replay-1"}
    assert [event["track"]["state"] for event in found].count("appeared") == 1


@pytest.mark.parametrize(
    ("case", "frames", "lost"),
    [("segment_1.mkv", 24, 0), ("cover_first.mp4", 48, 0), ("truncated.avi", 24, 24), ("joined_forward.ts", 52, 0), ("cctv.dav", 22, 0)],
)
def test_the_shared_cases(case: str, frames: int, lost: int, make_replayer: Callable[..., Replayer], shared_dir: Path) -> None:
    sink = RecordingSink()
    outcome = make_replayer(sink).replay(shared_dir / "cases" / case)
    assert (outcome.frames, outcome.lost) == (frames, lost)
    assert max(event["frame"]["media_time_s"] for event in faces(sink)) < 3
