"""Videos as they are read again: times, size, shape of the pixels, colours, and errors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ferstream.capture.full_pictures import Colours
from ferstream.errors import OutputError
from ferstream.rendering.video_file import OutputPicture, VideoFile, VideoFormat, part_path


def write(path: Path, video_format: VideoFormat, times_ns: list[int], *, last_ns: int = 40_000_000) -> Path:
    """Grey pictures of growing brightness."""
    video = VideoFile(path, video_format)
    for number, at_ns in enumerate(times_ns):
        picture = OutputPicture(video_format.width, video_format.height)
        picture.luma[:] = 30 + number % 200
        video.write(picture, at_ns)
    assert not path.exists()
    video.finish(last_ns=last_ns)
    assert not part_path(path).exists()
    return path


def read(path: Path) -> tuple[list[Fraction], av.VideoFrame, float, Fraction | None]:
    """Times in seconds, the first picture, the duration in seconds, the rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert len(container.streams) == 1
        frames = list(container.decode(stream))
        assert stream.time_base is not None
        times = [frame.pts * stream.time_base for frame in frames if frame.pts is not None]
        return times, frames[0], float((container.duration or 0) / av.time_base), stream.average_rate


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(10), Fraction(1, 2)])
def test_pictures_keep_their_rate_and_the_video_its_length(tmp_path: Path, rate: Fraction) -> None:
    step_ns = 1_000_000_000 / rate
    times_ns = [int(number * step_ns) for number in range(20)]
    times, _, duration_s, average = read(write(tmp_path / "a.mp4", VideoFormat(64, 48, rate), times_ns, last_ns=round(step_ns)))
    assert times == [number / rate for number in range(20)]
    assert average == rate
    assert duration_s == pytest.approx(20 / float(rate), abs=0.002)


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times_ns = [0, 33_000_000, 66_000_000, 500_000_000, 1_700_000_000, 1_701_000_000]
    times, _, duration_s, _ = read(write(tmp_path / "a.mp4", VideoFormat(64, 48, Fraction(30)), times_ns))
    assert [float(time) for time in times] == pytest.approx([at / 1e9 for at in times_ns], abs=0.0002)
    assert duration_s == pytest.approx(1.741, abs=0.002)


def test_pictures_within_one_tick_are_all_written(tmp_path: Path) -> None:
    times, _, _, _ = read(write(tmp_path / "a.mp4", VideoFormat(64, 48, Fraction(25)), [0, 1, 2, 3, 40_000_000]))
    assert len(set(times)) == 5


def test_shape_of_pixels_and_colours_are_kept(tmp_path: Path) -> None:
    made = write(tmp_path / "a.mp4", VideoFormat(64, 48, None, 16 / 15, Colours(5, 5, 6)), [0, 40_000_000])
    with av.open(str(made)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
        frame = next(container.decode(video=0))
    assert (int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc), int(frame.color_range)) == (5, 5, 6, 1)


def test_an_odd_size_is_extended_by_its_last_row_and_column(tmp_path: Path) -> None:
    _, frame, _, _ = read(write(tmp_path / "a.mp4", VideoFormat(65, 49), [0]))
    assert (frame.width, frame.height) == (66, 50)
    luma = frame.to_ndarray()[:50, :66].astype(int)
    assert np.abs(luma - 30).max() <= 2


def test_only_the_owner_can_read_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch(mode=0o644)
    assert write_over(tmp_path / "a.mp4").stat().st_mode & 0o777 == 0o600


def write_over(path: Path) -> Path:
    """A video in place of an older file."""
    video = VideoFile(path, VideoFormat(64, 48))
    video.write(OutputPicture(64, 48), 0)
    video.finish(last_ns=1)
    return path


def test_a_video_that_is_abandoned_leaves_nothing(tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "a.mp4", VideoFormat(64, 48))
    video.write(OutputPicture(64, 48), 0)
    video.abandon()
    video.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write the video .*a.mp4: No such file or directory"):
        VideoFile(tmp_path / "nowhere" / "a.mp4", VideoFormat(64, 48))


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    part_path(tmp_path / "a.mp4").symlink_to("/dev/full")
    video = VideoFile(tmp_path / "a.mp4", VideoFormat(64, 48))
    with pytest.raises(OutputError, match=r"cannot write the video .*a.mp4: No space left on device"):
        for number in range(200):
            picture = OutputPicture(64, 48)
            picture.luma[:] = np.random.default_rng(number).integers(16, 236, (48, 64), dtype=np.uint8)
            video.write(picture, number * 40_000_000)
        video.finish(last_ns=1)
    video.abandon()
    assert not (tmp_path / "a.mp4").exists()
