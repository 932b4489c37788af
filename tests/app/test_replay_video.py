"""Annotated videos of a replay: complete, as long as the recording, masked, and without a face where it was asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferstream.app.assembly import engine, replay_mode
from ferstream.app.replay import Replayer, ReplayOptions, replay_all
from ferstream.app.replayer import VideoOptions
from ferstream.detection.detector import DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.errors import ConfigError, FramesLostError, OutputError, SourceError
from ferstream.settings import load_settings
from tests.support.clips import card, write_clip
from tests.support.portraits import write_portrait_clip
from tests.support.shaped_clips import EIGHT, displayed, matrix, write_matrix, write_pictures

pytestmark = pytest.mark.usefixtures("no_new_threads")
Picture = npt.NDArray[np.uint8]


def render(out: Path, *videos: Path, model: Path, **options: Any) -> None:
    replay_all(ReplayOptions(videos=videos, video=out, model=str(model), **options))


def read(path: Path) -> list[Picture]:
    """The pictures of a video in BGR."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]


def faces_in(pictures: Sequence[Picture], score: float = 0.5) -> int:
    model = load_detector()
    detector = model.new_detector(DetectorLimits(score=score))
    found = 0
    for picture in pictures:
        height, width = (side // 32 * 32 for side in picture.shape[:2])
        found += len(detector.detect(np.ascontiguousarray(picture[:height, :width]), width=width, height=height))
    detector.close()
    model.close()
    return found


def test_the_video_has_all_pictures_at_their_times(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    render(tmp_path / "out.mp4", portrait_clip, model=tiny_model)
    assert times(tmp_path / "out.mp4") == pytest.approx(times(portrait_clip), abs=0.001)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    before, after = read(portrait_clip), read(tmp_path / "out.mp4")
    assert after[0].shape == before[0].shape
    corner = (slice(0, 24), slice(0, 24))
    assert np.abs(after[5][corner].astype(int) - before[5][corner]).mean() < 6
    assert np.abs(after[5].astype(int) - before[5]).max() > 60  # the box


def test_no_face_is_left_in_a_video_that_hides_them(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    render(tmp_path / "out.mp4", portrait_clip, model=tiny_model, blur=True)
    assert faces_in(read(portrait_clip)) >= 10
    assert faces_in(read(tmp_path / "out.mp4")) == 0


def test_small_faces_at_the_back_are_hidden_too(videos_dir: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A real clip of four people, two of whom have faces of 14 pixels."""
    render(tmp_path / "out.mp4", videos_dir / "classroom.gif", model=tiny_model, blur=True)

    def enlarged(path: Path) -> list[Picture]:
        return [np.asarray(cv2.resize(picture, (1280, 704), interpolation=cv2.INTER_CUBIC), np.uint8) for picture in read(path)[::8]]

    assert faces_in(enlarged(videos_dir / "classroom.gif"), score=0.7) >= 18
    assert faces_in(enlarged(tmp_path / "out.mp4"), score=0.7) == 0  # hands on a table have 0.6


def test_hiding_faces_changes_no_event(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    replay_all(ReplayOptions(videos=(portrait_clip,), events=str(tmp_path / "a.jsonl"), model=str(tiny_model)))
    render(tmp_path / "out.mp4", portrait_clip, model=tiny_model, blur=True, events=str(tmp_path / "b.jsonl"))
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_pictures_between_the_analysed_ones_are_in_the_video_with_their_boxes(
    portrait_clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    render(tmp_path / "out.mp4", portrait_clip, model=tiny_model, fps=2.0)
    before, after = read(portrait_clip), read(tmp_path / "out.mp4")
    assert len(after) == len(before)
    assert min(np.abs(new.astype(int) - old).max() for new, old in zip(after[:6], before[:6], strict=True)) > 60


def test_masks_are_painted(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "ferstream.toml").write_text(
        '[[cameras]]\nname = "door"\nsource = "demo:"\nmasks = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]\n'
        '[[cameras]]\nname = "yard"\nsource = "demo:"\n'
    )
    render(tmp_path / "out.mp4", portrait_clip, model=tiny_model, config=tmp_path / "ferstream.toml", camera="door")
    for picture in read(tmp_path / "out.mp4"):
        left = picture[:, : picture.shape[1] // 2 - 4].astype(int)
        assert (np.abs(left - 130).max(axis=2) < 8).mean() > 0.9  # the rest is the label of the face beside it


def test_aggregates_only_forbids_a_video_and_a_table(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "ferstream.toml").write_text("[privacy]\naggregate_only = true\n")
    with pytest.raises(ConfigError, match="--video would publish events of single faces"):
        render(tmp_path / "out.mp4", portrait_clip, model=tiny_model, config=tmp_path / "ferstream.toml")
    with pytest.raises(ConfigError, match="--table would publish events of single faces"):
        replay_all(ReplayOptions(videos=(portrait_clip,), table=tmp_path / "a.csv", config=tmp_path / "ferstream.toml"))
    assert [path.name for path in tmp_path.iterdir()] == ["ferstream.toml"]


def test_several_recordings_are_videos_in_a_folder(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    card = write_clip(tmp_path / "card.mkv", frames=4)
    render(tmp_path / "videos", portrait_clip, card, model=tiny_model)
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["card.mp4", "portrait.mp4"]


@pytest.mark.parametrize(
    ("out", "options", "problem"),
    [
        ("out.mp4", {}, "is one file for 2 recordings; give a folder"),
        ("out.webm", {}, "the name of a video ends in .mp4"),
        ("here/a-file", {}, "the name of a video ends in .mp4"),
        (None, {"blur": True}, "--blur is about the video"),
        ("videos", {"blur": True, "fps": 5.0}, "--blur looks for faces in every picture"),
        ("here", {}, "would write over the recording"),
    ],
)
def test_names_and_options_that_do_not_fit_are_errors(
    tmp_path: Path, tiny_model: Path, out: str | None, options: dict[str, Any], problem: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a-file").touch()
    clips = [write_clip(tmp_path / "here" / name, frames=2) for name in ("a.mp4", "b.mp4")]
    with pytest.raises(ConfigError, match=problem):
        replay_all(ReplayOptions(videos=tuple(clips), video=None if out is None else tmp_path / out, model=str(tiny_model), **options))


def test_a_disk_that_is_full_ends_the_replay(tmp_path: Path, tiny_model: Path) -> None:
    clip = write_portrait_clip(tmp_path / "clip.mp4")
    (tmp_path / "out.mp4.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left on device"):
        render(tmp_path / "out.mp4", clip, model=tiny_model)
    assert not (tmp_path / "out.mp4").exists()


def test_a_recording_that_changes_its_size_is_one_video(tmp_path: Path, tiny_model: Path) -> None:
    small, large = (write_clip(tmp_path / name, size=size, frames=5) for name, size in (("a.ts", (96, 64)), ("b.ts", (192, 144))))
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    render(tmp_path / "out.mp4", tmp_path / "both.ts", model=tiny_model)
    pictures = read(tmp_path / "out.mp4")
    assert len(pictures) >= 8
    assert {picture.shape for picture in pictures} == {(64, 96, 3)}
    assert pictures[-1][:, :4].max() < 24  # black beside it


def test_a_replay_that_is_stopped_leaves_a_video_that_plays(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    settings = load_settings(Path("/dev/null"), environ={}, flags={"inference.model": str(tiny_model)})
    stop = threading.Event()

    def on_progress(camera: str, done: int, total: int | None) -> None:
        if done >= 3:
            stop.set()

    with engine(settings, mode=replay_mode(settings), make_outputs=lambda models: []) as made:
        replayer = Replayer(engine=made, speed=1.0, stop=stop, on_progress=on_progress)
        with pytest.raises(FramesLostError, match="stopped after"):
            replayer.replay(portrait_clip, video=VideoOptions(path=tmp_path / "out.mp4", blur=True))
    assert 3 <= len(read(tmp_path / "out.mp4")) <= 10
    assert faces_in(read(tmp_path / "out.mp4")) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_recording_that_cannot_be_read_leaves_no_video(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(SourceError):
        render(tmp_path / "out.mp4", tmp_path / "missing.mp4", model=tiny_model)
    assert list(tmp_path.iterdir()) == []


def test_a_table_and_the_events_hold_the_same_faces(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    replay_all(ReplayOptions(videos=(portrait_clip,), events=str(tmp_path / "a.jsonl"), table=tmp_path / "a.csv", model=str(tiny_model)))
    events = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert len(rows) == len(events) + 1
    assert rows[1].split(",")[:3] == ["portrait", "portrait.mp4", "0"]
    changes = (tmp_path / "a.tracks.csv").read_text().splitlines()
    assert {row.split(",")[11] for row in changes[1:]} >= {"appeared", "left"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"events": "a.csv"}, "--events writes JSON lines; for a table: --table a.csv"),
        ({"events": "A.PARQUET"}, "--events writes JSON lines; for a table: --table A.PARQUET"),
        ({"events": "a.mp4"}, "--events writes JSON lines; for a video: --video a.mp4"),
        ({"table": Path("a.jsonl")}, "--table writes .csv or .parquet; for JSON lines: --events a.jsonl"),
    ],
)
def test_a_file_of_another_kind_is_an_error_that_names_the_option(portrait_clip: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        replay_all(ReplayOptions(videos=(portrait_clip,), **options))


def test_the_rate_of_the_video_is_that_of_the_recording(portrait_clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    render(tmp_path / "out.mp4", portrait_clip, model=tiny_model)
    rates: list[Fraction | None] = []
    for path in (portrait_clip, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            rates.append(container.streams.video[0].average_rate)
    assert rates[0] == rates[1]


@pytest.mark.parametrize("shape", ["turned 90 clockwise", "left and right exchanged"])
def test_turned_recordings_and_pixels_that_are_not_square_are_shown_as_by_a_player(tmp_path: Path, tiny_model: Path, shape: str) -> None:
    cards = [card((96, 64), number) for number in range(3)]
    clip = write_matrix(write_pictures(tmp_path / "a.mp4", cards, aspect=Fraction(4, 3)), matrix(*EIGHT[shape]))
    render(tmp_path / "out.mp4", clip, model=tiny_model)
    wanted = displayed(cards[0], EIGHT[shape])
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        picture = np.asarray(next(container.decode(stream)).to_ndarray(format="rgb24"), np.uint8)
        assert stream.sample_aspect_ratio == (Fraction(3, 4) if wanted.shape[0] == 96 else Fraction(4, 3))
    assert picture.shape == wanted.shape
    assert np.abs(picture[8:24, 8:24].astype(int) - wanted[8:24, 8:24]).mean() < 8
