"""Recordings that can be read: codecs, formats, rotation, times, speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ferstream.capture.options import Decoding, FrameOptions, Playback
from ferstream.capture.recording import FileSource
from ferstream.domain.frame import Frame
from ferstream.runtime.counters import Counters
from tests.support import clips
from tests.support.clock import FakeClock
from tests.support.sources import frames_of
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
def test_the_rotation_of_a_phone_video_is_applied(turn: int, read: Read, tmp_path: Path) -> None:
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
    pts = [0, 40, 45, 300, 2000, 2010]
    path = clips.write_clip(tmp_path / "vfr.mkv", pts_ms=pts, options={"bf": "0"})
    assert times_ms(frames_of(read(path))) == pts


def test_a_file_without_pts_gets_the_nominal_times(read: Read, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "raw.h264", options={"bf": "0"})
    times = times_ms(frames_of(read(path)))
    assert len(times) == 10
    assert times == sorted(set(times))


def test_utc_times_come_from_the_creation_tag(read: Read, tmp_path: Path) -> None:
    tags = {"creation_time": "2021-05-04T10:00:00.000000Z"}
    path = clips.write_clip(tmp_path / "tagged.mkv", codec="mpeg4", tags=tags)
    frames = frames_of(read(path))
    assert frames[0].info.captured_at_ns == 1_620_122_400 * 10**9
    assert frames[5].info.captured_at_ns - frames[0].info.captured_at_ns == frames[5].info.media_time_ns
    assert not frames[0].info.live


@pytest.mark.parametrize(
    "tag",
    ["yesterday", "1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"],
)
def test_an_invalid_creation_tag_is_ignored(tag: str, read: Read, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "tagged.mkv", codec="mpeg4", tags={"creation_time": tag})
    assert frames_of(read(path))[0].info.captured_at_ns == 0


def test_a_given_start_counts_instead_of_the_creation_tag(read: Read, tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "tagged.mkv", codec="mpeg4", tags={"creation_time": "2021-05-04T10:00:00Z"})
    frames = frames_of(read(path, playback=Playback(start_ns=7_000_000_000)))
    assert [frame.info.captured_at_ns for frame in frames[:2]] == [7_000_000_000, 7_040_000_000]


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
    alone, together = frames_of(read(long_clip)), frames_of(read(long_clip, decoding=Decoding(threads=3, thread_type=thread_type)))
    assert len(together) == 50
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.luma.plane, two.luma.plane)


def test_analysis_fps_picks_by_media_time(read: Read, long_clip: Path, counters: Counters) -> None:
    frames = frames_of(read(long_clip, options=FrameOptions(analysis_fps=10)))
    assert times_ms(frames) == [0, 80, 200, 280, 400, 480, 600, 680, 800, 880, 1000, 1080, 1200, 1280, 1400, 1480, 1600, 1680, 1800, 1880]
    assert [frame.info.index for frame in frames][:3] == [0, 2, 5]
    assert counters.snapshot().frames == {("door", "decode"): 50}


def test_a_loop_continues_frame_numbers_and_times(read: Read, clip: Path) -> None:
    source = read(clip, playback=Playback(loop=True))
    source.open()
    frames = [frame for frame, _ in zip(source.frames(), range(25), strict=False)]
    source.close()
    assert [frame.info.index for frame in frames] == list(range(25))
    assert times_ms(frames) == [n * 40 for n in range(25)]


def test_real_time_waits_for_each_frame(counters: Counters, clip: Path) -> None:
    clock = FakeClock()
    source = FileSource(path=clip, camera="door", observer=counters, playback=Playback(realtime=True), clock=clock)
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


def test_a_speed_is_kept_and_frames_are_not_live(counters: Counters, clip: Path) -> None:
    clock = FakeClock()
    source = FileSource(path=clip, camera="door", observer=counters, playback=Playback(speed=2.0), clock=clock)
    source.open()
    frames = source.frames()
    assert not next(frames).info.live
    second = Task(lambda: next(frames))
    while source.last_activity_ns < clock.monotonic_ns() + 20 * MS:  # where frame 1 is due: 40 ms of media time at double speed
        assert second.alive
    clock.advance(0.02)
    assert second.result().info.media_time_ns == 40 * MS
    source.close()


def test_waiting_for_a_late_frame_in_real_time_is_activity(counters: Counters, tmp_path: Path) -> None:
    clock = FakeClock()
    path = clips.write_clip(tmp_path / "pause.mkv", pts_ms=[0, 60_000], options={"bf": "0"})
    source = FileSource(path=path, camera="door", observer=counters, playback=Playback(realtime=True), clock=clock)
    source.open()
    frames = source.frames()
    next(frames)
    waiting = Task(lambda: next(frames, None))
    while source.last_activity_ns < clock.monotonic_ns() + 59 * 10**9:
        assert waiting.alive
    source.close()
    assert waiting.result() is None
