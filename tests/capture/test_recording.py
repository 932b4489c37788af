"""Recordings of every kind, sound and damaged, give every frame they hold, or one line that says why not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.capture.libav import VideoInput
from ferstream.capture.recording import FileSource
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError, SourceFormatError
from ferstream.runtime.counters import Counters
from tests.support import clips
from tests.support.clock import FakeClock
from tests.support.threads import Task

MS = 1_000_000
Read = Callable[..., FileSource]

CODECS = [
    ("mp4", "libx264", "yuv420p", {}),
    ("mov", "libx264", "yuv420p10le", {}),
    ("mkv", "libx264", "yuvj420p", {}),
    ("mkv", "libx264", "yuv422p", {}),
    ("mkv", "libx264", "yuv444p10le", {}),
    ("mkv", "libx264", "nv12", {}),
    ("mkv", "libx264", "gray", {"color_range": "pc"}),
    ("mp4", "libx265", "yuv420p", {"x265-params": "log-level=none"}),
    ("mkv", "libx265", "yuv420p12le", {"x265-params": "log-level=none"}),
    ("webm", "libvpx-vp9", "yuv420p", {"cpu-used": "8", "deadline": "realtime"}),
    ("webm", "libvpx-vp9", "yuv444p", {"cpu-used": "8", "deadline": "realtime"}),
    ("avi", "mjpeg", "yuvj420p", {}),
    ("avi", "mjpeg", "yuvj422p", {}),
    ("avi", "mpeg4", "yuv420p", {}),
    ("mkv", "ffv1", "gray16le", {}),
    ("mkv", "ffv1", "bgra", {}),
    ("mkv", "ffv1", "yuv420p16le", {}),
    ("gif", "gif", "rgb8", {}),
    ("gif", "gif", "gray", {}),
    ("mov", "png", "rgb24", {}),
    ("mov", "prores_ks", "yuv422p10le", {}),
]


def frames_of(source: FileSource) -> list[Frame]:
    source.open()
    frames = list(source.frames())
    source.close()
    return frames


def times_ms(frames: list[Frame]) -> list[int]:
    return [round(frame.info.media_time_ns / MS) for frame in frames]


@pytest.mark.parametrize(("container", "codec", "pixel_format", "options"), CODECS)
def test_codecs_and_formats(container: str, codec: str, pixel_format: str, options: dict[str, str], read: Read, tmp_path: Path) -> None:
    path = tmp_path / f"clip.{container}"
    clips.write_clip(path, codec=codec, pixel_format=pixel_format, options=options, still=codec == "gif")
    source = read(path)
    info = source.open()
    frames = list(source.frames())
    assert (info.width, info.height) == clips.SIZE
    assert len(frames) == 10
    assert [frame.info.index for frame in frames] == list(range(10))
    expected = clips.quarters(clips.card()[:, :, ::-1])
    if pixel_format.startswith("gray"):
        expected = expected @ [[0.114], [0.587], [0.299]] @ [[1, 1, 1]]
    tolerance = 25 if codec == "gif" else 12
    np.testing.assert_allclose(clips.quarters(frames[0].detection_image), expected, atol=tolerance)


@pytest.mark.parametrize("codec", ["ffv1", "mjpeg"])
def test_odd_sizes(codec: str, read: Read, tmp_path: Path) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = clips.write_clip(tmp_path / "odd.mkv", codec=codec, pixel_format=pixel_format, size=(97, 65))
    frames = frames_of(read(path))
    assert {frame.luma.plane.shape for frame in frames} == {(65, 97)}
    assert {frame.detection_image.shape for frame in frames} == {(64, 96, 3)}


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_phone_videos_are_turned_upright(turn: int, read: Read, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "phone.mp4")
    clips.rotate_tag(path, turn)
    source = read(path)
    info = source.open()
    frame = next(source.frames())
    source.close()
    upright = np.rot90(clips.card(), -turn // 90)
    assert (info.height, info.width) == (frame.info.height, frame.info.width) == upright.shape[:2]
    assert frame.luma.plane.shape == upright.shape[:2]
    np.testing.assert_allclose(clips.quarters(frame.detection_image), clips.quarters(upright[:, :, ::-1]), atol=12)


def test_variable_frame_rate(read: Read, tmp_path: Path) -> None:
    stamps = [0, 40, 45, 300, 2000, 2010]
    path = clips.write_clip(tmp_path / "vfr.mkv", stamps_ms=stamps, options={"bf": "0"})
    assert times_ms(frames_of(read(path))) == stamps


def test_a_file_without_stamps_gets_the_nominal_ones(read: Read, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "raw.h264", options={"bf": "0"})
    times = times_ms(frames_of(read(path)))
    assert len(times) == 10
    assert times == sorted(set(times))


def test_times_come_from_the_file(read: Read, tmp_path: Path) -> None:
    tags = {"creation_time": "2021-05-04T10:00:00.000000Z"}
    path = clips.write_clip(tmp_path / "tagged.mkv", codec="mpeg4", tags=tags)
    frames = frames_of(read(path))
    assert frames[0].info.captured_at_ns == 1_620_122_400 * 10**9
    assert frames[5].info.captured_at_ns - frames[0].info.captured_at_ns == frames[5].info.media_time_ns
    assert not frames[0].info.live


@pytest.mark.parametrize("tag", ["yesterday", "1904-01-01T00:00:00Z"])
def test_a_senseless_date_is_ignored(tag: str, read: Read, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "tagged.mkv", codec="mpeg4", tags={"creation_time": tag})
    assert frames_of(read(path))[0].info.captured_at_ns == 0


def test_two_passes_are_the_same(read: Read, clip: Path) -> None:
    first, second = frames_of(read(clip)), frames_of(read(clip))
    for one, two in zip(first, second, strict=True):
        assert (one.info.index, one.info.media_time_ns, one.info.captured_at_ns) == (
            two.info.index,
            two.info.media_time_ns,
            two.info.captured_at_ns,
        )
        np.testing.assert_array_equal(one.luma.plane, two.luma.plane)
        np.testing.assert_array_equal(one.detection_image, two.detection_image)


@pytest.mark.parametrize("thread_type", ["SLICE", "FRAME", "AUTO"])
def test_decoder_threads_change_nothing(thread_type: str, read: Read, long_clip: Path) -> None:
    alone, together = frames_of(read(long_clip)), frames_of(read(long_clip, threads=3, thread_type=thread_type))
    assert len(together) == 50
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.luma.plane, two.luma.plane)


def test_analysis_fps_picks_by_media_time(read: Read, long_clip: Path, counters: Counters) -> None:
    frames = frames_of(read(long_clip, analysis_fps=10))
    assert times_ms(frames) == [0, 80, 200, 280, 400, 480, 600, 680, 800, 880, 1000, 1080, 1200, 1280, 1400, 1480, 1600, 1680, 1800, 1880]
    assert [frame.info.index for frame in frames][:3] == [0, 2, 5]
    assert counters.snapshot().frames == {("door", "decode"): 50}


def test_a_loop_goes_on_counting(read: Read, clip: Path) -> None:
    source = read(clip, loop=True)
    source.open()
    frames = [frame for frame, _ in zip(source.frames(), range(25), strict=False)]
    source.close()
    assert [frame.info.index for frame in frames] == list(range(25))
    assert times_ms(frames) == [n * 40 for n in range(25)]


def test_real_time_waits_for_each_frame(counters: Counters, clip: Path) -> None:
    clock = FakeClock()
    source = FileSource(path=clip, camera="door", observer=counters, realtime=True, clock=clock)
    source.open()
    frames = source.frames()
    first = next(frames)
    assert first.info.live
    assert first.info.captured_at_ns == clock.utc_ns()
    clock.advance(0.08)
    assert next(frames).info.media_time_ns == 40 * MS
    third = next(frames)
    assert (third.info.media_time_ns, third.info.captured_ns) == (80 * MS, clock.monotonic_ns())
    source.close()
    assert next(frames, None) is None


def test_a_speed_is_kept_and_nothing_is_live(counters: Counters, clip: Path) -> None:
    clock = FakeClock()
    source = FileSource(path=clip, camera="door", observer=counters, speed=2.0, clock=clock)
    source.open()
    frames = source.frames()
    assert not next(frames).info.live
    second = Task(lambda: next(frames))
    while source.last_activity_ns < clock.monotonic_ns() + 20 * MS:  # where frame 1 is due: 40 ms of media time at double speed
        assert second.alive
    clock.advance(0.02)
    assert second.result().info.media_time_ns == 40 * MS
    source.close()


def test_a_pause_in_real_time_is_no_stall(counters: Counters, tmp_path: Path) -> None:
    clock = FakeClock()
    path = clips.write_clip(tmp_path / "pause.mkv", stamps_ms=[0, 60_000], options={"bf": "0"})
    source = FileSource(path=path, camera="door", observer=counters, realtime=True, clock=clock)
    source.open()
    frames = source.frames()
    next(frames)
    waiting = Task(lambda: next(frames, None))
    while source.last_activity_ns < clock.monotonic_ns() + 59 * 10**9:
        assert waiting.alive
    source.close()
    assert waiting.result() is None


# -- closed by another thread --------------------------------------------------------------------


def test_what_is_not_read_after_a_close_is_not_missing(counters: Counters, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FileSource(path=clip, camera="door", observer=counters)
    source.open()
    real, decoded = VideoInput._decoded, 0

    def closed_meanwhile(self: VideoInput, *rest: Any) -> Any:
        nonlocal decoded
        decoded += 1
        if decoded == 3:
            Task(source.close).result()  # while this thread holds the lock
        return real(self, *rest)

    monkeypatch.setattr(VideoInput, "_decoded", closed_meanwhile)
    frames = list(source.frames())
    assert len(frames) < 10
    assert counters.snapshot().dropped == {}


def test_a_closed_container_is_not_asked_anything(clip: Path) -> None:
    connection = VideoInput(container=av.open(str(clip)), threads=1, thread_type="SLICE")
    first = next(connection.frames(timed=lambda _: None, damaged=lambda _: None, strict=True))
    before = connection.info(first)
    connection.close()
    connection._stream = connection._container = None  # type: ignore[assignment]
    assert connection.info(first) == before
    assert connection.missing(0, first) == 0
    assert (connection.step_ns, connection.format_name) == (40 * MS, "mov,mp4,m4a,3gp,3g2,mj2")
    assert connection.metadata


class Unreadable:
    """A container whose disk fails for good after so many packets."""

    def __init__(self, container: Any, packets: int) -> None:
        self._container, self._left = container, packets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, stream: Any) -> Iterator[Any]:
        for packet in self._container.demux(stream):
            if not self._left:
                raise av.error.OSError(5, "Input/output error")
            self._left -= 1
            yield packet
        raise AssertionError("read to the end")


def test_a_fault_that_stays_is_one_fault_and_what_was_decoded_comes(clips_dir: Path) -> None:
    clip = clips.write_clip(clips_dir / "unreadable.mkv", frames=60, options={"bf": "2"})
    container = Unreadable(av.open(str(clip)), packets=20)
    connection = VideoInput(container=container, threads=1, thread_type="SLICE")  # type: ignore[arg-type]
    damaged: list[int] = []
    pictures = list(connection.frames(timed=lambda _: None, damaged=damaged.append, strict=False))
    assert len(pictures) == 20
    assert damaged == [1]
    connection.close()


# -- what is no sound recording ------------------------------------------------------------------


def why(source: FileSource) -> str:
    with pytest.raises(SourceError) as caught:
        source.open()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_file(read: Read, tmp_path: Path) -> None:
    assert "no such file" in why(read(tmp_path / "gone.mp4"))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "a\nb", "clip.mp4/inside"])
def test_a_name_that_no_file_can_have(name: str, read: Read, clip: Path) -> None:
    assert why(read(clip.parent / name))


def test_a_directory(read: Read, tmp_path: Path) -> None:
    assert "is a directory" in why(read(tmp_path))


def test_an_empty_file(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "is empty" in why(read(path))


@pytest.mark.parametrize("suffix", ["mp4", "txt", "avi", "gif"])
def test_text(suffix: str, read: Read, tmp_path: Path) -> None:
    path = tmp_path / f"notes.{suffix}"
    path.write_text("Dear diary,\n" * 500)
    assert "is text, not a video" in why(read(path))


def test_a_playlist_is_not_followed(read: Read, tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
    assert "is text" in why(read(path))


def test_noise(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "noise.mkv"
    path.write_bytes(np.random.default_rng(1).bytes(20_000))
    assert "no video that can be decoded" in why(read(path))


def test_a_recording_without_its_index(read: Read, tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "cut.mp4"
    content = clip.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    assert "cut off before its index" in why(read(path))


def test_sound_only(read: Read, tmp_path: Path) -> None:
    assert "no video, only audio" in why(read(clips.write_sound(tmp_path / "song.mp4")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(read: Read, tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(clip.read_bytes())
    path.chmod(0)
    assert "no permission" in why(read(path))


def test_the_error_is_of_the_right_kind(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(SourceFormatError):
        read(path).open()


@pytest.mark.parametrize("container", ["mkv", "avi", "mp4"])
def test_a_file_cut_in_the_middle_gives_what_is_there_and_counts_the_rest(
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
    assert abs(got + lost - 200) <= 4 or container == "avi"  # libav believes what is left of an avi, not its header


def test_a_sound_file_lost_nothing(read: Read, clip: Path, long_clip: Path, counters: Counters) -> None:
    for path in (clip, long_clip):
        frames_of(read(path))
    assert counters.snapshot().dropped == {}


def test_a_long_last_picture_is_no_loss(read: Read, tmp_path: Path, counters: Counters) -> None:
    path = clips.write_clip(tmp_path / "slides.mp4", stamps_ms=[0, 5_000, 10_000], options={"bf": "0"})
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
    "name": st.sampled_from(["mp4", "mkv", "avi", "gif", "webm"]),
    "bits": st.lists(st.integers(0, 2**31), min_size=1, max_size=24),
}
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(**DAMAGE)
def test_no_damage_is_fatal(name: str, bits: list[int], sound_clips: Path, tmp_path: Path) -> None:
    read_damaged(name, bits, sound_clips, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=10_000, deadline=None, suppress_health_check=QUIET)
@given(**DAMAGE)
def test_none_of_ten_thousand_damages_is_fatal(name: str, bits: list[int], sound_clips: Path, tmp_path: Path) -> None:
    read_damaged(name, bits, sound_clips, tmp_path)


def read_damaged(name: str, bits: list[int], sound_clips: Path, folder: Path) -> None:
    """Flip bits of a sound clip: it gives frames in order, or one line."""
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
    return clips_dir


def test_reading_leaves_no_file_open(read: Read, clip: Path) -> None:
    fds = Path("/proc/self/fd")
    before = len(list(fds.iterdir()))
    for _ in range(3):
        frames_of(read(clip))
    assert len(list(fds.iterdir())) == before
