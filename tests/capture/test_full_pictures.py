"""Recordings at full size and in colour: the pictures, numbers and times that the analysis sees, in the colours that a player shows."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferstream.capture.full_pictures import FullPicture, FullPictures
from ferstream.capture.geometry import PictureOptions
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.runtime.counters import Counters
from tests.support.clips import card, write_clip

TURNED = PictureOptions(rotate=90)


def pictures(path: Path, options: PictureOptions | None = None) -> list[FullPicture]:
    return list(FullPictures(path, picture=options or PictureOptions()).pictures())


def rgb(picture: FullPicture) -> npt.NDArray[np.uint8]:
    """The picture in RGB, by BT.601."""
    width, height = picture.size
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, values in zip(frame.planes, (picture.luma, *picture.chroma), strict=True):
        target = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
        target[:, : plane.width] = values
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "mjpeg", "yuvj420p"),
        ("a.avi", "mjpeg", "yuvj422p"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.mkv", "libx264", "nv12"),
    ],
)
def test_colours_are_those_that_were_filmed(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    clip = write_clip(tmp_path / name, codec=codec, pixel_format=pixel_format, frames=3)
    first = pictures(clip)[0]
    assert np.abs(rgb(first)[4:20, 4:40].astype(int) - card()[4:20, 4:40]).mean() < 6
    assert np.abs(rgb(first)[40:60, 60:90].astype(int) - card()[40:60, 60:90]).mean() < 6
    assert 14 <= first.luma.min() < first.luma.max() <= 236


def test_grey_recordings_have_no_colour(tmp_path: Path) -> None:
    first = pictures(write_clip(tmp_path / "a.mkv", codec="ffv1", pixel_format="gray", frames=2))[0]
    assert all((plane == 128).all() for plane in first.chroma)
    assert np.abs(rgb(first).astype(int) - cv2.cvtColor(card(), cv2.COLOR_RGB2GRAY)[..., None]).mean() < 4


def test_numbers_and_times_are_those_of_the_analysis(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=8, pts_ms=[0, 40, 75, 200, 1000, 1001, 1400, 9000])
    source = FileSource(path=clip, camera="a", observer=Counters(), options=FrameOptions(analysis_fps=0))
    source.open()
    analysed = [(frame.info.index, frame.info.media_time_ns) for frame in source.frames()]
    source.close()
    assert [(picture.index, picture.media_time_ns) for picture in pictures(clip)] == analysed


def test_damaged_pictures_are_left_out_as_in_the_analysis(tmp_path: Path) -> None:
    whole = bytearray(write_clip(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=40).read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 300] = bytes(300)
    (tmp_path / "damaged.mkv").write_bytes(whole)
    source = FileSource(path=tmp_path / "damaged.mkv", camera="a", observer=Counters())
    source.open()
    analysed = [frame.info.media_time_ns for frame in source.frames()]
    source.close()
    assert [picture.media_time_ns for picture in pictures(tmp_path / "damaged.mkv")] == analysed


def test_pictures_are_turned_as_the_settings_say(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=2)
    upright, turned = pictures(clip)[0], pictures(clip, TURNED)[0]
    assert turned.size == upright.size[::-1]
    assert (turned.luma == np.rot90(upright.luma, -1)).all()
    assert (turned.chroma[1] == np.rot90(upright.chroma[1], -1)).all()


def test_colour_tags_are_passed_on(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=2, options={"x264-params": "colormatrix=bt709:colorprim=bt709:transfer=bt709"})
    assert pictures(clip)[0].is_bt709
    assert not pictures(write_clip(tmp_path / "b.mp4", frames=2))[0].is_bt709
