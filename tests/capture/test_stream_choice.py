"""Which of several video streams is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from av.stream import Discard, Disposition

from ferstream.capture.libav import VideoInput
from ferstream.capture.options import Decoding
from ferstream.capture.recording import FileSource
from ferstream.errors import SourceFormatError
from ferstream.runtime.counters import Counters
from tests.support import clips, containers

Read = Callable[..., FileSource]
SMALL, LARGE = (96, 64), (192, 128)
NONE, DEFAULT, COVER = Disposition(0), Disposition.default, Disposition.attached_pic


@pytest.mark.parametrize(
    ("name", "streams", "chosen"),
    [
        ("a.mp4", [(SMALL, DEFAULT), (LARGE, COVER)], SMALL),
        ("a.mov", [(LARGE, DEFAULT), (SMALL, DEFAULT)], LARGE),
        ("a.mkv", [(SMALL, DEFAULT), (LARGE, DEFAULT)], LARGE),
        ("a.mkv", [(LARGE, NONE), (SMALL, DEFAULT)], SMALL),
        ("a.mkv", [(SMALL, NONE), (LARGE, NONE), (SMALL, NONE)], LARGE),
        ("a.ts", [(SMALL, NONE), (LARGE, NONE)], LARGE),
        ("a.avi", [(SMALL, NONE), (LARGE, NONE)], LARGE),
        ("a.nut", [(LARGE, NONE), (LARGE, NONE)], LARGE),
    ],
)
def test_the_stream_that_ffmpeg_takes_is_read(
    name: str, streams: list[tuple[tuple[int, int], Disposition]], chosen: tuple[int, int], read: Read, counters: Counters, tmp_path: Path
) -> None:
    source = read(containers.several_videos(tmp_path / name, streams))
    info = source.open()
    sizes = [(frame.info.width, frame.info.height) for frame in source.frames()]
    assert (info.width, info.height) == chosen
    assert sizes == [chosen] * 10
    assert counters.snapshot().dropped == {}
    assert f"{chosen[0]} x {chosen[1]}" in info.choice


def test_of_equal_streams_the_first_is_read_and_the_others_are_discarded(tmp_path: Path) -> None:
    path = containers.several_videos(tmp_path / "a.nut", [(SMALL, NONE)] * 3)
    with av.open(str(path)) as container:
        video = VideoInput(container=container, decoding=Decoding())
        assert [stream.discard for stream in container.streams] == [Discard.default, Discard.all, Discard.all]
        video.close()


def test_the_choice_is_told_only_where_there_is_one(read: Read, clip: Path, tmp_path: Path) -> None:
    several = read(containers.several_videos(tmp_path / "a.mp4", [(SMALL, DEFAULT), (LARGE, COVER), (LARGE, NONE)]))
    choice = several.open().choice
    several.close()
    assert choice == "reads stream 0: mpeg4 96 x 64; ignores 1 video stream and 1 cover picture"
    single = read(clip)
    assert not single.open().choice
    single.close()


@pytest.mark.parametrize(("name", "codec"), [("song.mp3", "libmp3lame"), ("song.mp4", "aac")])
def test_sound_with_a_cover_is_only_audio(name: str, codec: str, read: Read, tmp_path: Path) -> None:
    path = containers.sound_with_cover(tmp_path / name, codec=codec)
    with pytest.raises(SourceFormatError, match="no video, only audio and a cover picture"):
        read(path).open()


def test_sound_without_a_cover_is_only_audio(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceFormatError, match="no video, only audio or data"):
        read(clips.write_sound(tmp_path / "song.mp4")).open()


def test_the_shared_case_with_its_cover_first(shared_dir: Path, read: Read) -> None:
    source = read(shared_dir / "cases" / "cover_first.mp4")
    info = source.open()
    source.close()
    assert info.choice == "reads stream 1: h264 480 x 270; ignores 1 cover picture"
    assert (info.frames, round(info.fps, 3)) == (48, 23.976)
