"""What a container promises against what came: pieces that begin late are whole, files that end early are not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from ferstream.capture.recording import FileSource
from ferstream.runtime.counters import Counters
from tests.support import clips, containers
from tests.support.sources import frames_of

Read = Callable[..., FileSource]
Counted = Callable[[Path], tuple[int, int]]

Codec = tuple[str, str, dict[str, str]]

MPEG4: Codec = ("mpeg4", "yuv420p", {})
X264: Codec = ("libx264", "yuv420p", {})
VP9: Codec = ("libvpx-vp9", "yuv420p", {"cpu-used": "8", "deadline": "realtime"})
FASTSTART, FRAGMENTS = {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}
# Name, (codec, pixel format, options), options of the container, and how far the count of a cut file may be off: None where
# the container promises no number, so that at least one picture is counted.
KINDS: list[tuple[str, Codec, dict[str, str], int | None]] = [
    ("a.mkv", X264, {}, 1),
    ("a.webm", VP9, {}, 1),
    ("a.avi", ("mjpeg", "yuvj420p", {}), {}, 0),
    ("b.avi", X264, {}, 1),
    ("a.mp4", X264, FASTSTART, 0),
    ("b.mp4", MPEG4, FASTSTART, 0),
    ("a.mov", X264, FASTSTART, 0),
    ("a.flv", ("flv1", "yuv420p", {}), {}, 1),
    ("a.wmv", ("wmv2", "yuv420p", {}), {"packet_size": "256"}, 1),
    ("a.mxf", ("mpeg2video", "yuv420p", {}), {}, 2),
    ("a.ivf", VP9, {}, 0),
    ("a.apng", ("apng", "rgb24", {}), {}, 0),
    ("a.rm", ("rv10", "yuv420p", {}), {}, 1),
    ("fragments.mp4", ("libx264", "yuv420p", {"g": "10", "bf": "0"}), FRAGMENTS, None),
    ("live.mkv", ("mjpeg", "yuvj420p", {}), {"live": "1"}, None),
    ("a.ts", X264, {}, None),
    ("a.m2ts", X264, {}, None),
    ("a.mpg", ("mpeg2video", "yuv420p", {"g": "1", "qmin": "1", "qmax": "1"}), {}, None),
    ("a.gif", ("gif", "rgb8", {}), {}, None),
    ("a.y4m", ("wrapped_avframe", "yuv420p", {}), {}, None),
]


@pytest.fixture
def counted(read: Read, counters: Counters) -> Counted:
    """Reads a recording; returns the numbers of its pictures and of the lost ones."""

    def count(path: Path) -> tuple[int, int]:
        before = sum(counters.snapshot().dropped.values())
        return len(frames_of(read(path))), sum(counters.snapshot().dropped.values()) - before

    return count


def within_packet(path: Path, number: int) -> int:
    """Return a place in the middle of one packet of a recording."""
    with av.open(str(path)) as container:
        packet = next(itertools.islice(container.demux(video=0), number, None))
    return (packet.pos or path.stat().st_size * number // 60) + packet.size // 2 + 1


@pytest.mark.parametrize(("name", "codec", "muxing", "error"), KINDS, ids=[kind[0] for kind in KINDS])
def test_a_whole_file_has_none_missing_and_a_cut_one_what_it_promised(
    name: str, codec: Codec, muxing: dict[str, str], error: int | None, counted: Counted, tmp_path: Path
) -> None:
    whole = clips.write_clip(tmp_path / name, codec=codec[0], pixel_format=codec[1], options=codec[2], muxing=muxing, frames=60)
    assert counted(whole) == (60, 0)
    cut = tmp_path / f"cut-{name}"
    for number in (20, 35, 50):
        cut.write_bytes(whole.read_bytes()[: within_packet(whole, number)])
        got, lost = counted(cut)
        assert 0 < got < 60, number
        assert lost >= 1, number
        if error is not None:
            assert abs(got + lost - 60) <= error, (number, got, lost)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
@pytest.mark.parametrize(("frames", "sound_s"), [(100, 4.0), (100, 10.0)])
def test_a_cut_file_with_sound_counts_the_pictures_of_its_video(
    name: str, frames: int, sound_s: float, counted: Counted, tmp_path: Path
) -> None:
    whole = containers.with_sound(tmp_path / name, frames=frames, sound_s=sound_s)
    assert counted(whole) == (frames, 0)
    content = whole.read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(content[: len(content) // 3])
    got, lost = counted(cut)
    assert 0 < got < frames
    assert abs(got + lost - frames) <= 2


STARTS: list[tuple[str, dict[str, str]]] = [
    ("a.mkv", {}),
    ("a.webm", {}),
    ("a.ts", {"mpegts_copyts": "1"}),
    ("a.mp4", {}),
    ("a.mov", {}),
    ("fragments.mp4", FRAGMENTS),
    ("a.flv", {}),
    ("a.nut", {}),
]


@pytest.mark.parametrize("start_ms", [5000, 3_600_000, -1000])
@pytest.mark.parametrize(("name", "muxing"), STARTS, ids=[kind[0] for kind in STARTS])
def test_a_recording_that_does_not_begin_at_0_is_whole(
    name: str, muxing: dict[str, str], start_ms: int, counted: Counted, tmp_path: Path
) -> None:
    codec = VP9 if name.endswith("webm") else X264 if name.endswith(("ts", "flv")) else MPEG4
    times = [start_ms + 40 * number for number in range(40)]
    path = clips.write_clip(tmp_path / name, codec=codec[0], options=codec[2], muxing=muxing, pts_ms=times)
    got, lost = counted(path)
    assert lost == 0
    assert got == 40 or start_ms < 0  # the edit list of an MP4 leaves out what is before 0


def test_a_mp4_whose_edit_list_leaves_out_its_beginning_is_whole(counted: Counted, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "edited.mp4", frames=100, options={"g": "10", "bf": "0"})
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 16  # size, version, count, length: then the time at which the media begins
    content[place : place + 4] = (12_800 * 2).to_bytes(4, "big")
    path.write_bytes(content)
    got, lost = counted(path)
    assert (got, lost) == (50, 0)


def test_a_long_last_picture_is_not_a_missing_one(counted: Counted, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "slides.mkv", pts_ms=[0, 5_000, 10_000], options={"bf": "0"})
    assert counted(path) == (3, 0)


def test_a_file_that_was_filled_with_zeros_beforehand_is_not_whole(counted: Counted, tmp_path: Path) -> None:
    whole = clips.write_clip(tmp_path / "whole.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=100).read_bytes()
    path = tmp_path / "allocated.mkv"
    path.write_bytes(whole[: len(whole) // 3] + bytes(len(whole) - len(whole) // 3))
    got, lost = counted(path)
    assert 20 < got < 50
    assert abs(got + lost - 100) <= 3


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_a_file_that_lacks_its_middle_is_not_whole(name: str, counted: Counted, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / name, codec="mjpeg", pixel_format="yuvj420p", frames=100)
    content = path.read_bytes()
    path.write_bytes(content[: within_packet(path, 30)] + content[within_packet(path, 60) :])
    got, lost = counted(path)
    assert 60 <= got <= 71
    assert abs(got + lost - 100) <= 2


def test_a_header_that_promises_more_pictures_than_fit_is_not_believed(counted: Counted, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "placeholder.avi", codec="mjpeg", pixel_format="yuvj420p", frames=30)
    content = bytearray(path.read_bytes())
    place = content.index(b"strh") + 40  # dwLength
    content[place : place + 4] = (0x7FFFFFFF).to_bytes(4, "little")
    path.write_bytes(content)
    assert counted(path) == (30, 0)


def test_an_avi_of_a_recorder_that_was_switched_off_promises_nothing(counted: Counted, tmp_path: Path) -> None:
    content = bytearray(clips.write_clip(tmp_path / "a.avi", codec="mjpeg", pixel_format="yuvj420p", frames=30).read_bytes())
    content[4:8] = bytes(4)
    for name, offset in ((b"avih", 24), (b"strh", 40)):
        place = content.index(name) + offset
        content[place : place + 4] = bytes(4)
    path = tmp_path / "unfinished.avi"
    path.write_bytes(content[: content.rindex(b"idx1")])
    assert counted(path) == (30, 0)


def test_a_tail_without_pictures_may_be_missing(counted: Counted, tmp_path: Path) -> None:
    whole = clips.write_clip(tmp_path / "a.avi", codec="mjpeg", pixel_format="yuvj420p", frames=30).read_bytes()
    path = tmp_path / "no-index.avi"
    path.write_bytes(whole[: whole.rindex(b"idx1") + 40])
    assert counted(path) == (30, 0)


@pytest.mark.parametrize(
    ("case", "frames", "missing"),
    [("segment_1.mkv", 24, 0), ("truncated.avi", 24, 24), ("joined_forward.ts", 52, 0), ("cctv.dav", 22, 0), ("cover_first.mp4", 48, 0)],
)
def test_shared_cases(case: str, frames: int, missing: int, shared_dir: Path, counted: Counted) -> None:
    assert counted(shared_dir / "cases" / case) == (frames, missing)
