"""Real files with pixels that are not square: sizes in stored pixels, detection images in square ones."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ferstream.capture.geometry import PictureOptions
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from tests.support import clips
from tests.support.shaped_clips import EIGHT, matrix, write_container_aspect, write_matrix, write_pictures
from tests.support.sources import frames_of

Read = Callable[..., FileSource]
CARD = clips.card((96, 96))
ANAMORPHIC = Fraction(16, 9)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.ts", "mpeg2video", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.h264", "libx264", "yuv420p"),
        ("a.mkv", "mjpeg", "yuvj420p"),
    ],
)
def test_the_aspect_of_container_or_codec_is_found(name: str, codec: str, pixel_format: str, read: Read, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / name, [CARD] * 4, codec=codec, pixel_format=pixel_format, aspect=ANAMORPHIC)
    source = read(path)
    info = source.open()
    source.close()
    frames = frames_of(read(path))
    assert (info.width, info.height) == (96, 96)
    assert info.pixel_aspect == pytest.approx(16 / 9, rel=0.01)
    for frame in frames:
        assert (frame.info.width, frame.info.height) == (96, 96)
        assert frame.luma.plane.shape == (96, 96)
        assert frame.luma.pixel_aspect == pytest.approx(16 / 9, rel=0.01)
        assert frame.detection_image.shape == (96, 160, 3)
    np.testing.assert_allclose(clips.quarters(frames[0].detection_image), clips.quarters(CARD[:, :, ::-1]), atol=12)


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [
        (Fraction(2, 1), (96, 192)),
        (Fraction(1, 2), (192, 96)),
        (Fraction(12, 11), (96, 96)),
        (Fraction(32, 11), (96, 288)),
        (Fraction(97, 96), (96, 96)),
        (Fraction(1, 1), (96, 96)),
    ],
)
def test_detection_images_are_stretched_to_square_pixels(aspect: Fraction, shape: tuple[int, int], read: Read, tmp_path: Path) -> None:
    frame = frames_of(read(write_pictures(tmp_path / "a.mkv", [CARD] * 2, aspect=aspect)))[0]
    assert frame.detection_image.shape == (*shape, 3)


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (0, 0), (-16, 9), (16, -9), (1000, 1), (1, 1000), (2**31 - 1, 1)])
def test_an_aspect_of_nonsense_leaves_what_the_codec_says(numbers: tuple[int, int], read: Read, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mp4", [CARD] * 2, aspect=ANAMORPHIC)
    frame = frames_of(read(write_container_aspect(path, *numbers)))[0]
    assert frame.luma.pixel_aspect == pytest.approx(16 / 9)


@pytest.mark.parametrize("aspect", ["0:0", "0:1", "1:0", "1000:1", "1:1000", "-16:9"])
def test_an_aspect_of_nonsense_counts_as_square(aspect: str, read: Read, tmp_path: Path) -> None:
    frame = frames_of(read(y4m(tmp_path / "a.y4m", aspect)))[0]
    assert (frame.luma.pixel_aspect, frame.detection_image.shape) == (1.0, (96, 96, 3))


def test_the_aspect_of_raw_pictures_is_found(read: Read, tmp_path: Path) -> None:
    frame = frames_of(read(y4m(tmp_path / "a.y4m", "16:9")))[0]
    assert frame.luma.pixel_aspect == pytest.approx(16 / 9)


def y4m(path: Path, aspect: str) -> Path:
    """Raw pictures, with an aspect in the text of their header."""
    content = write_pictures(path, [CARD], codec="rawvideo").read_bytes()
    header, newline, rest = content.partition(b"\n")
    header = b" ".join(word for word in header.split() if not word.startswith(b"A"))
    path.write_bytes(header + b" A" + aspect.encode() + newline + rest)
    return path


def test_the_container_wins_over_the_codec(read: Read, tmp_path: Path) -> None:
    path = write_container_aspect(write_pictures(tmp_path / "a.mp4", [CARD] * 2, aspect=ANAMORPHIC), 4, 3)
    assert frames_of(read(path))[0].luma.pixel_aspect == pytest.approx(4 / 3)


def test_the_setting_wins_over_the_source(read: Read, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mp4", [CARD] * 2, aspect=ANAMORPHIC)
    options = FrameOptions(picture=PictureOptions(pixel_aspect=2.0))
    assert frames_of(read(path, options=options))[0].luma.pixel_aspect == 2.0
    square = FrameOptions(picture=PictureOptions(pixel_aspect=1.0))
    assert frames_of(read(path, options=square))[0].detection_image.shape == (96, 96, 3)


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_an_aspect_that_changes_on_the_way_changes_from_its_frame_on(codec: str, read: Read, tmp_path: Path) -> None:
    parts = [
        write_pictures(tmp_path / f"{n}.ts", [CARD] * 10, codec=codec, aspect=aspect, muxing={"output_ts_offset": str(n * 0.6)})
        for n, aspect in enumerate((Fraction(4, 3), Fraction(16, 9)))
    ]
    path = tmp_path / "broadcast.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    aspects = [frame.luma.pixel_aspect for frame in frames_of(read(path))]
    assert aspects == [pytest.approx(4 / 3)] * 10 + [pytest.approx(16 / 9)] * 10


@pytest.mark.parametrize("name", EIGHT)
def test_turned_and_anamorphic_together(name: str, read: Read, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mp4", [clips.card((96, 64))] * 2, aspect=Fraction(2, 1))
    frame = frames_of(read(write_matrix(path, matrix(*EIGHT[name]))))[0]
    turned = EIGHT[name][0] == 0
    assert (frame.info.width, frame.info.height) == ((64, 96) if turned else (96, 64))
    assert frame.luma.pixel_aspect == (0.5 if turned else 2.0)
    assert frame.detection_image.shape == ((192, 64, 3) if turned else (64, 192, 3))
