"""Recordings that cannot be read, are cut off or damaged: a clear error, or the frames that are left and a count of the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.capture.recording import FileSource
from ferstream.errors import SourceError, SourceFormatError
from ferstream.runtime.counters import Counters
from tests.support import clips, containers
from tests.support.sources import frames_of

MS = 1_000_000
Read = Callable[..., FileSource]


def error_of(source: FileSource) -> str:
    """Open a source that fails; return the message of its error."""
    with pytest.raises(SourceError) as caught:
        source.open()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_an_error(read: Read, tmp_path: Path) -> None:
    assert "no such file" in error_of(read(tmp_path / "gone.mp4"))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "a\nb", "clip.mp4/inside"])
def test_an_invalid_file_name_is_an_error(name: str, read: Read, clip: Path) -> None:
    assert error_of(read(clip.parent / name))


def test_a_directory_is_an_error(read: Read, tmp_path: Path) -> None:
    assert "is a directory" in error_of(read(tmp_path))


def test_an_empty_file_is_an_error(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "is empty" in error_of(read(path))


@pytest.mark.parametrize("suffix", ["mp4", "txt", "avi", "gif"])
def test_a_text_file_is_an_error(suffix: str, read: Read, tmp_path: Path) -> None:
    path = tmp_path / f"notes.{suffix}"
    path.write_text("Dear diary,\n" * 500)
    assert "is text, not a video" in error_of(read(path))


def test_a_playlist_is_not_followed(read: Read, tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
    assert "is text" in error_of(read(path))


def test_random_bytes_are_an_error(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "noise.mkv"
    path.write_bytes(np.random.default_rng(1).bytes(20_000))
    assert "not a video that can be decoded" in error_of(read(path))


def test_a_recording_without_its_index_is_an_error(read: Read, tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "cut.mp4"
    content = clip.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    assert "cut off before its index" in error_of(read(path))


def test_sound_without_video_is_an_error(read: Read, tmp_path: Path) -> None:
    assert "no video, only audio" in error_of(read(clips.write_sound(tmp_path / "song.mp4")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(read: Read, tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(clip.read_bytes())
    path.chmod(0)
    assert "no permission" in error_of(read(path))


def test_an_empty_file_is_a_format_error(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(SourceFormatError):
        read(path).open()


@pytest.mark.parametrize("container", ["mkv", "avi", "mp4"])
def test_a_truncated_file_gives_its_frames_and_counts_the_missing_ones(
    container: str, read: Read, tmp_path: Path, counters: Counters
) -> None:
    muxing = {"movflags": "faststart"} if container == "mp4" else {}
    whole = clips.write_clip(tmp_path / f"whole.{container}", codec="mjpeg", pixel_format="yuvj420p", frames=200, muxing=muxing)
    content = whole.read_bytes()
    start = content.index({"mp4": b"mdat", "avi": b"movi", "mkv": b"\x1f\x43\xb6\x75"}[container])
    cut = tmp_path / f"cut.{container}"
    cut.write_bytes(content[: (start + len(content)) // 2])
    got = len(frames_of(read(cut)))
    assert 20 < got < 180
    lost = counters.snapshot().dropped[("door", "decode", "damaged")]
    assert abs(got + lost - 200) <= 2


def test_a_complete_file_has_no_missing_pictures(read: Read, clip: Path, long_clip: Path, counters: Counters) -> None:
    for path in (clip, long_clip):
        frames_of(read(path))
    assert counters.snapshot().dropped == {}


def test_a_long_last_picture_is_not_a_missing_one(read: Read, tmp_path: Path, counters: Counters) -> None:
    path = clips.write_clip(tmp_path / "slides.mp4", pts_ms=[0, 5_000, 10_000], options={"bf": "0"})
    assert len(frames_of(read(path))) == 3
    assert counters.snapshot().dropped == {}


def test_damaged_packets_are_skipped_and_counted(read: Read, tmp_path: Path, counters: Counters) -> None:
    path = clips.write_clip(tmp_path / "clip.avi", codec="png", pixel_format="rgb24", frames=20)
    content = bytearray(path.read_bytes())
    place = content.index(b"IDAT", content.index(b"IDAT", content.index(b"IDAT") + 4) + 4)
    content[place : place + 4] = b"JUNK"
    path.write_bytes(content)
    got = len(frames_of(read(path)))
    assert got + counters.snapshot().dropped[("door", "decode", "damaged")] == 20
    assert got >= 18


DAMAGE = {
    "name": st.sampled_from(["mp4", "mkv", "avi", "gif", "webm", "dav", "obu", "h261", "amv", "ts", "flv", "mpg"]),
    "bits": st.lists(st.integers(0, 2**31), min_size=1, max_size=24),
}
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(**DAMAGE)
def test_a_file_with_random_damage_gives_frames_or_one_error(name: str, bits: list[int], sound_clips: Path, tmp_path: Path) -> None:
    read_damaged(name, bits, sound_clips, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=10_000, deadline=None, suppress_health_check=QUIET)
@given(**DAMAGE)
def test_ten_thousand_random_damages_give_frames_or_one_error(name: str, bits: list[int], sound_clips: Path, tmp_path: Path) -> None:
    read_damaged(name, bits, sound_clips, tmp_path)


def read_damaged(name: str, bits: list[int], sound_clips: Path, folder: Path) -> None:
    """Read a clip with flipped bits: it gives frames in order, or an error of one line."""
    path = folder / f"damaged.{name}"
    path.write_bytes(clips.flip_bits((sound_clips / f"fuzz.{name}").read_bytes(), bits))
    counters = Counters()
    source = FileSource(path=path, camera="door", observer=counters)
    times: list[int] = []
    try:
        source.open()
        times.extend(frame.info.media_time_ns for frame in source.frames())
    except SourceError as exc:
        assert "\n" not in str(exc)
    finally:
        source.close()
    assert times == sorted(set(times))
    assert counters.snapshot().frames.get(("door", "decode"), 0) == len(times)


@pytest.fixture(scope="session")
def sound_clips(clips_dir: Path) -> Path:
    clips.write_clip(clips_dir / "fuzz.mp4", frames=5)
    clips.write_clip(clips_dir / "fuzz.mkv", codec="libx265", frames=5, options={"x265-params": "log-level=none"})
    clips.write_clip(clips_dir / "fuzz.avi", codec="mjpeg", pixel_format="yuvj420p", frames=5)
    clips.write_clip(clips_dir / "fuzz.gif", codec="gif", pixel_format="rgb8", frames=5)
    clips.write_clip(clips_dir / "fuzz.webm", codec="libvpx-vp9", frames=5, options={"cpu-used": "8", "deadline": "realtime"})
    clips.write_clip(clips_dir / "fuzz.obu", codec="libsvtav1", frames=5, options={"preset": "12"})
    clips.write_clip(clips_dir / "fuzz.h261", codec="h261", size=(176, 144), frames=5)
    clips.write_clip(clips_dir / "fuzz.flv", frames=5)
    clips.write_clip(clips_dir / "fuzz.mpg", codec="mpeg2video", frames=5)
    containers.dahua(clips_dir / "fuzz.dav", frames=5)
    containers.amv(clips_dir / "fuzz.amv", frames=5)
    containers.joined(clips_dir / "fuzz.ts", 0, 3_600_000, frames=5)
    return clips_dir


def test_reading_leaves_no_file_open(read: Read, clip: Path) -> None:
    fds = Path("/proc/self/fd")
    before = len(list(fds.iterdir()))
    for _ in range(3):
        frames_of(read(clip))
    assert len(list(fds.iterdir())) == before
