"""Recordings from a pipe: read once, without looking for places in it, and closed while they wait."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ferstream.capture.factory import reads_once
from ferstream.capture.file_bytes import STDIN, PipeReader, RegularFile, is_pipe
from ferstream.capture.options import Playback
from ferstream.capture.recording import FileSource
from ferstream.errors import SourceError, SourceFormatError
from ferstream.runtime.counters import Counters
from tests.support import clips, containers
from tests.support.sources import frames_of
from tests.support.threads import Task, wait_until

Read = Callable[..., FileSource]
Feed = Callable[[bytes], Path]


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    """Makes a FIFO into which a thread writes the given bytes once."""
    threads: list[threading.Thread] = []

    def start(content: bytes) -> Path:
        path = tmp_path / f"fifo-{len(threads)}"
        os.mkfifo(path)
        threads.append(threading.Thread(target=write, args=(path, content), daemon=True))
        threads[-1].start()
        return path

    def write(path: Path, content: bytes) -> None:
        with suppress(BrokenPipeError), path.open("wb") as pipe:
            pipe.write(content)

    yield start
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize(
    ("name", "muxing"),
    [
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.flv", {}),
        ("a.mp4", {"movflags": "faststart"}),
        ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.h264", {}),
    ],
)
def test_a_whole_recording_comes_through_a_pipe(
    name: str, muxing: dict[str, str], read: Read, feed: Feed, counters: Counters, tmp_path: Path
) -> None:
    content = clips.write_clip(tmp_path / name, muxing=muxing, frames=30).read_bytes()
    assert len(frames_of(read(feed(content)))) == 30
    assert counters.snapshot().dropped == {}


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.ts", "a.gif", "a.mp4"])
def test_a_cut_recording_in_a_pipe_is_not_whole(name: str, read: Read, feed: Feed, counters: Counters, tmp_path: Path) -> None:
    codec, pixel_format = (
        ("gif", "rgb8") if name.endswith("gif") else ("libx264", "yuv420p") if name.endswith("ts") else ("mjpeg", "yuvj420p")
    )
    muxing = {"movflags": "faststart"} if name.endswith("mp4") else {}
    content = clips.write_clip(tmp_path / name, codec=codec, pixel_format=pixel_format, muxing=muxing, frames=100).read_bytes()
    got = len(frames_of(read(feed(content[: len(content) * 2 // 3 | 1]))))
    lost = counters.snapshot().dropped[("door", "decode", "damaged")]
    assert 0 < got < 100
    assert lost >= 1
    assert name.endswith(("ts", "gif")) or abs(got + lost - 100) <= 1


def test_joined_recordings_in_a_pipe(read: Read, feed: Feed, counters: Counters, tmp_path: Path) -> None:
    content = containers.joined(tmp_path / "a.ts", 0, 3_600_000, frames=60).read_bytes()
    frames = frames_of(read(feed(content)))
    assert (len(frames), round(frames[-1].info.media_time_ns / 1e6)) == (120, 119 * 40)
    assert counters.snapshot().dropped == {}


def test_a_mp4_with_its_index_at_the_end_is_an_error_that_says_how_to_make_it(read: Read, feed: Feed, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "a.mp4", codec="mjpeg", pixel_format="yuvj420p", frames=600)
    with pytest.raises(SourceFormatError, match="cannot be read from a pipe; make it with -movflags faststart"):
        read(feed(path.read_bytes())).open()


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"Dear diary,\n" * 100, "is text, not a video")])
def test_a_pipe_without_a_recording_is_an_error(content: bytes, reason: str, read: Read, feed: Feed) -> None:
    with pytest.raises(SourceFormatError, match=reason):
        read(feed(content)).open()


def test_a_pipe_is_not_played_in_a_loop(read: Read, feed: Feed, tmp_path: Path) -> None:
    content = clips.write_clip(tmp_path / "a.mkv").read_bytes()
    assert len(frames_of(read(feed(content), playback=Playback(loop=True)))) == 10


def test_a_source_that_waits_for_a_pipe_is_active_and_can_be_closed(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "silent"
    os.mkfifo(path)
    source = read(path)
    opening = Task(source.open)
    wait_until(lambda: source.last_activity_ns > 0)
    earlier_ns = source.last_activity_ns
    assert source.last_activity_ns > earlier_ns
    source.close()
    with pytest.raises(SourceError):
        opening.result()


def test_a_closed_pipe_leaves_no_file_open(read: Read, feed: Feed, tmp_path: Path) -> None:
    content = clips.write_clip(tmp_path / "a.mkv").read_bytes()
    fds = Path("/proc/self/fd")
    before = len(list(fds.iterdir()))
    frames_of(read(feed(content)))
    with pytest.raises(SourceFormatError):
        read(feed(b"text")).open()
    wait_until(lambda: len(list(fds.iterdir())) == before)  # the threads of the test that write close their ends


def test_the_standard_input(read: Read, feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = feed(clips.write_clip(tmp_path / "a.mkv").read_bytes())
    with path.open("rb") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert is_pipe(STDIN)
        assert len(frames_of(read(STDIN))) == 10


def test_a_terminal_or_device_is_no_recording(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="is a device or terminal"):
        read(Path("/dev/zero")).open()
    with Path("/dev/null").open("rb") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(SourceError, match="stdin: is a device or terminal"):
            read(STDIN).open()


def test_what_can_be_read_only_once(tmp_path: Path, clip: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert reads_once(str(fifo))
    assert reads_once(f"file:{fifo}")
    assert not reads_once(str(clip))
    assert not reads_once(str(tmp_path / "missing.mp4"))
    assert not reads_once("rtsp://camera/stream")
    assert not reads_once("demo:")


def test_the_first_and_last_bytes_of_a_pipe_are_kept(feed: Feed) -> None:
    content = bytes(number % 251 for number in range(300_000))
    reader = PipeReader(feed(content))
    while reader.read(10_000):
        pass
    assert reader.size == len(content)
    for place in (0, 65_000, 250_000, 299_990):
        assert reader.read_at(place, 100) == content[place : place + 100]
    assert reader.read_at(150_000, 100) == b""
    assert reader.read_at(300_000, 100) == b""
    reader.close()
    assert reader.read(10) == b""


def test_a_file_is_read_at_any_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with RegularFile(path) as data:
        assert (data.size, data.read_at(8, 4), data.read_at(10, 4), data.read_at(-1, 4)) == (10, b"89", b"", b"")
