"""Which formats of libav are read, and the recordings of unusual formats and make."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from av.format import ContainerFormat

from ferstream.capture.formats import REFUSED, allowed_formats, declares_length, longest_gap_ns
from ferstream.capture.options import Playback
from ferstream.capture.recording import FileSource
from ferstream.errors import SourceFormatError
from ferstream.runtime.counters import Counters
from tests.support import clips, containers
from tests.support.clock import FakeClock
from tests.support.sources import frames_of

Read = Callable[..., FileSource]
MS = 1_000_000
NO_FILE = 0x0001
"""libav's flag of demuxers that open by themselves: devices, network, numbered pictures."""


def demuxers() -> dict[str, ContainerFormat]:
    """Every demuxer of this libav by each of its names."""
    found = {}
    for name in sorted({name for entry in av.formats_available for name in entry.split(",")}):
        with contextlib.suppress(ValueError):  # a muxer only
            found[name] = ContainerFormat(name, "r")
    return {name: entry for name, entry in found.items() if entry.is_input}


def test_every_format_is_read_except_those_with_a_reason() -> None:
    allowed = set(allowed_formats().split(","))
    refused = {name for names in REFUSED.values() for name in names}
    names = set(demuxers())
    assert allowed | (refused & names) == names
    assert not allowed & refused
    assert {"dhav", "obu", "h261", "avi", "mov", "matroska", "mpegts", "flv", "asf", "gif", "ivf", "rm", "mxf"} <= allowed


def test_no_format_that_opens_other_files_by_itself_is_read() -> None:
    allowed = set(allowed_formats().split(","))
    assert not [name for name, entry in demuxers().items() if int(entry.flags) & NO_FILE and name in allowed]


@pytest.mark.parametrize(("name", "gap_s"), [("mpegts", 10), ("mpeg", 10), ("flv", 10), ("dhav", 10), ("matroska", 600), ("mov", 600)])
def test_streams_may_jump_where_indexed_files_pause(name: str, gap_s: int) -> None:
    assert longest_gap_ns(ContainerFormat(name, "r")) == gap_s * 10**9


def test_lengths_that_libav_measures_are_no_promise() -> None:
    assert declares_length("matroska,webm")
    assert declares_length("asf")
    assert not declares_length("mpegts")
    assert not declares_length("gif")


# -- recordings -----------------------------------------------------------------------------------------


def test_a_recording_of_dahua(read: Read, counters: Counters, tmp_path: Path) -> None:
    source = read(containers.dahua(tmp_path / "camera.dav", frames=22))
    info = source.open()
    frames = list(source.frames())
    assert (info.width, info.height, info.fps) == (96, 64, 10.0)
    assert [frame.info.media_time_ns for frame in frames] == [100 * MS * number for number in range(22)]
    assert counters.snapshot().dropped == {}


def test_a_recording_of_dahua_without_its_beginning(read: Read, tmp_path: Path) -> None:
    content = containers.dahua(tmp_path / "camera.dav", frames=30).read_bytes()
    path = tmp_path / "rest.dav"
    path.write_bytes(content[content.index(b"DHAV", content.index(b"DHAV", 10) + 10) :])
    assert 10 <= len(frames_of(read(path))) < 30


WRITTEN = [
    ("a.obu", "libsvtav1", "yuv420p", (96, 64), {"preset": "12"}),
    ("a.h261", "h261", "yuv420p", (176, 144), {}),
    ("a.h263", "h263", "yuv420p", (176, 144), {}),
    ("a.wmv", "wmv2", "yuv420p", (96, 64), {}),
    ("a.rm", "rv10", "yuv420p", (96, 64), {}),
    ("a.swf", "flv", "yuv420p", (96, 64), {}),
    ("a.mxf", "mpeg2video", "yuv420p", (96, 64), {}),
    ("a.dv", "dvvideo", "yuv420p", (720, 576), {}),
    ("a.y4m", "wrapped_avframe", "yuv420p", (96, 64), {}),
    ("a.roq", "roqvideo", "yuvj444p", (96, 64), {}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "size", "options"), WRITTEN, ids=[kind[0] for kind in WRITTEN])
def test_unusual_formats(
    name: str, codec: str, pixel_format: str, size: tuple[int, int], options: dict[str, str], read: Read, counters: Counters, tmp_path: Path
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this libav cannot write {codec}")
    path = clips.write_clip(tmp_path / name, codec=codec, pixel_format=pixel_format, size=size, options=options, frames=20)
    source = read(path)
    info = source.open()
    frames = list(source.frames())
    assert (info.width, info.height, len(frames)) == (*size, 20)
    assert counters.snapshot().dropped == {}


def test_amv(read: Read, counters: Counters, tmp_path: Path) -> None:
    assert len(frames_of(read(containers.amv(tmp_path / "player.amv")))) == 20
    assert counters.snapshot().dropped == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.ffconcat", "ffconcat version 1.0\nfile clip.mp4\n"),
        ("list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
        ("art.ans", "\x1b[31mtext\x1b[0m\n" * 50),
        ("notes.txt", "text\n" * 50),
        ("subtitles.srt", "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 5),
        ("picture-%03d.png", "text\n"),
    ],
)
def test_text_is_not_read_as_a_recording(name: str, text: str, read: Read, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SourceFormatError, match="is text, not a video"):
        read(path).open()


# -- joined recordings ------------------------------------------------------------------------------------

JOINED = [
    ("a.ts", "libx264", (0, 3_600_000)),
    ("a.ts", "libx264", (3_600_000, 0)),
    ("a.ts", "libx264", (0, 90_000_000, 1_000)),
    ("a.ts", "libx264", (95_443_500,)),  # the counter of 33 bits ends within the piece
    ("a.ts", "libx264", (95_443_600, 0, 0)),
    ("a.mpg", "mpeg2video", (0, 3_600_000)),
    ("a.flv", "libx264", (0, 3_600_000)),
]


@pytest.mark.parametrize(("name", "codec", "starts_ms"), JOINED)
def test_joined_streams_go_on_by_one_step(
    name: str, codec: str, starts_ms: tuple[int, ...], read: Read, counters: Counters, tmp_path: Path
) -> None:
    path = containers.joined(tmp_path / name, *starts_ms, codec=codec)
    frames = frames_of(read(path))
    assert [round(frame.info.media_time_ns / MS) for frame in frames] == [40 * n for n in range(10 * len(starts_ms))]
    assert counters.snapshot().dropped == {}


@pytest.mark.parametrize(
    ("name", "last_ms", "expected_ms"), [("a.mkv", 599_000, 599_000), ("b.mkv", 3_600_000, 80), ("c.mp4", 3_600_000, 80)]
)
def test_a_pause_in_an_indexed_file_is_kept_up_to_10_minutes(name: str, last_ms: int, expected_ms: int, read: Read, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / name, pts_ms=[0, 40, last_ms], options={"bf": "0"})
    assert round(frames_of(read(path))[-1].info.media_time_ns / MS) == expected_ms


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_a_jump_is_not_waited_for(name: str, counters: Counters, tmp_path: Path) -> None:
    starts = (0, 3_600_000)
    path = tmp_path / name
    if name.endswith("ts"):
        containers.joined(path, *starts, frames=3)
    else:
        clips.write_clip(path, pts_ms=[start + 40 * n for start in starts for n in range(3)], options={"bf": "0"})
    clock = FakeClock()
    source = FileSource(path=path, camera="door", observer=counters, playback=Playback(speed=100.0), clock=clock)
    source.open()
    begun_ns = clock.monotonic_ns()
    due_ns = [source.last_activity_ns - begun_ns for _ in source.frames()]
    assert len(due_ns) == 6
    assert max(due_ns) <= 10 * MS


# -- changes of the size ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.ts", "libx264"), ("a.hevc", "libx265")])
def test_a_picture_that_changes_its_size(name: str, codec: str, read: Read, counters: Counters, tmp_path: Path) -> None:
    sizes = [(96, 64), (192, 128), (64, 96)]
    frames = frames_of(read(containers.two_sizes(tmp_path / name, sizes, codec=codec)))
    assert [(frame.info.width, frame.info.height) for frame in frames] == [size for size in sizes for _ in range(10)]
    assert all(frame.luma.plane.shape == (frame.info.height, frame.info.width) for frame in frames)
    assert counters.snapshot().dropped == {}
