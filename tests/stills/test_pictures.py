"""Pictures of every format are read upright; other files are errors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.errors import SourceError, SourceFormatError
from ferstream.stills.pictures import Picture, picture_size, read_picture
from tests.support.peak_memory import measure
from tests.support.pictures import jpeg_with_orientation, portrait


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tiff"])
def test_a_usual_format_is_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    cv2.imwrite(str(path), portrait())

    picture = read_picture(path)

    assert np.abs(picture.astype(int) - portrait()).mean() < 4


def test_grey_alpha_and_sixteen_bits_become_bgr_bytes(tmp_path: Path) -> None:
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    for name, picture in {
        "grey": grey,
        "alpha": cv2.cvtColor(portrait(), cv2.COLOR_BGR2BGRA),
        "deep": grey.astype(np.uint16) * 257,
    }.items():
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), picture)
        read = read_picture(path)
        assert read.shape == (600, 512, 3), name
        assert read.dtype == np.uint8, name


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [(3, lambda p: p[::-1, ::-1]), (6, lambda p: p.transpose(1, 0, 2)[::-1]), (8, lambda p: p.transpose(1, 0, 2)[:, ::-1])],
)
def test_a_phones_orientation_is_respected(tmp_path: Path, orientation: int, stored: Callable[[Picture], Picture]) -> None:
    path = jpeg_with_orientation(tmp_path / "phone.jpg", np.ascontiguousarray(stored(portrait())), orientation)
    picture = read_picture(path)
    assert picture.shape == (600, 512, 3)
    assert np.abs(picture.astype(int) - portrait()).mean() < 6


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "is empty"), (b"hello", "is not a picture"), (b"\xff\xd8\xff\xe0" + bytes(50), "is not a picture")]
)
def test_a_file_that_is_not_a_picture_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(SourceFormatError, match=rf"x\.jpg: {message}"):
        read_picture(tmp_path / "x.jpg")


def test_missing_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.jpg: cannot be read: No such file"):
        read_picture(tmp_path / "none.jpg")
    with pytest.raises(SourceError, match="is a folder; give its pictures"):
        read_picture(tmp_path)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tiff"])
def test_the_size_is_read_from_the_header(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    cv2.imwrite(str(path), portrait())
    assert picture_size(path.read_bytes()) == (512, 600)


@pytest.mark.parametrize("side", [9_000, 16_000])
def test_a_picture_over_max_pixels_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), np.zeros((side, side), np.uint8))
    body = "from ferstream.stills.pictures import read_picture\ndef work():\n    read_picture(Path(sys.argv[1]))\n"
    done = measure(body, path)
    assert "max_pixels allows 64,000,000" in done.error
    assert done.peak_mb < 300


def test_max_pixels_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    cv2.imwrite(str(path), portrait())
    with pytest.raises(SourceFormatError, match="512 x 600 pixels; max_pixels allows 307,199"):
        read_picture(path, max_pixels=512 * 600 - 1)
    assert read_picture(path, max_pixels=512 * 600).shape == (600, 512, 3)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "hole.bmp"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(SourceFormatError, match="the file is too large"):
        read_picture(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(40), "is a HEIC picture, which cannot be decoded; convert it to JPEG"),
        (b"\xff\x0a" + bytes(40), "is a JPEG XL picture, which cannot be decoded"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1" + bytes(40), "is not a picture"),
    ],
)
def test_a_format_that_cannot_be_decoded_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(SourceFormatError, match=message):
        read_picture(tmp_path / "x.jpg")


def test_a_named_pipe_is_an_error_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe: cannot be read: it is a named pipe"):
        read_picture(tmp_path / "pipe")


def test_a_name_with_a_line_end_stays_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read_picture(tmp_path / os.fsdecode(b"caf\xe9\n.jpg"))
    assert str(caught.value).endswith(r"caf\xe9\n.jpg: cannot be read: No such file or directory")


@pytest.mark.slow
def test_a_picture_of_108_million_pixels_is_analysed_and_drawn_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    canvas = np.full((9000, 12000, 3), 128, np.uint8)
    small = cv2.resize(portrait(), (128, 150), interpolation=cv2.INTER_AREA)
    for index in range(60):
        canvas[100 + index % 6 * 1450 : 250 + index % 6 * 1450, 60 + index * 195 : 188 + index * 195] = small
    cv2.imwrite(str(path), canvas)
    body = """
from ferstream.detection.detector import DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.stills.analysis import PictureAnalyzer
from ferstream.stills.drawing import draw
from tests.support.classifiers import ScriptedClassifier
def work():
    detector = load_detector(keep_sizes=8).new_detector(DetectorLimits(min_face_px=16))
    result = PictureAnalyzer(detector=detector, classifier=ScriptedClassifier(), max_pixels=178_000_000).analyze(Path(sys.argv[1]))
    draw(result, Path(sys.argv[2]))
    assert len(result.faces) == 60, len(result.faces)
"""
    done = measure(body, path, tmp_path / "out.png", timeout_s=600)
    assert done.error == ""
    assert done.peak_mb < 1300
