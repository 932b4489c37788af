from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.domain.emotion import Abstained
from ferstream.stills.analysis import FaceResult, PictureResult
from ferstream.stills.drawing import draw
from ferstream.stills.pictures import Picture
from tests.support.peak_memory import measure
from tests.support.stills import face_result


@pytest.mark.parametrize(("count", "shape"), [(0, (90, 120)), (1, (600, 60)), (2, (40, 900)), (5, (90, 120)), (30, (40, 900))])
def test_any_number_of_faces_in_any_shape_is_drawn(tmp_path: Path, count: int, shape: tuple[int, int]) -> None:
    faces = tuple(face_result(abstained=Abstained.SMALL if index % 3 else None) for index in range(count))
    result = PictureResult(path=Path("x.jpg"), picture=np.full((*shape, 3), 99, np.uint8), faces=faces)
    picture = cv2.imread(str(draw(result, tmp_path / "x.png")))
    assert picture is not None
    assert min(picture.shape[:2]) > 100
    assert max(picture.shape[:2]) < 4000


def drawn(tmp_path: Path, faces: tuple[FaceResult, ...], name: str = "x.jpg", shape: tuple[int, int] = (300, 400)) -> Picture:
    result = PictureResult(path=Path(name), picture=np.full((*shape, 3), 99, np.uint8), faces=faces)
    picture = cv2.imread(str(draw(result, tmp_path / "x.png")))
    assert picture is not None
    return np.asarray(picture, np.uint8)


@pytest.mark.parametrize(
    "name", ["price_$5_and_$6.jpg", "$", "$x^{", "%s{0}.png", "\u65e5\u672c.png", "a\nb.png", os.fsdecode(b"\xff\xfe.png")]
)
def test_a_name_may_hold_anything(tmp_path: Path, name: str) -> None:
    assert (drawn(tmp_path, (face_result(),), name)[20:60, :300] < 100).any()


def test_a_long_name_is_shortened_to_the_width_of_the_drawing(tmp_path: Path) -> None:
    picture = drawn(tmp_path, (face_result(),), "x" * 240 + ".jpg")
    assert (picture[5:40, -10:] == 255).all()


def test_the_panels_of_a_panorama_are_below_it(tmp_path: Path) -> None:
    picture = drawn(tmp_path, tuple(face_result() for _ in range(5)), shape=(300, 3000))
    assert (picture[70, 100:-100] != 255).any()
    assert picture.shape[1] > picture.shape[0]


def test_a_large_picture_is_drawn_in_little_memory(tmp_path: Path) -> None:
    body = """
import numpy as np
from ferstream.stills.analysis import PictureResult
from ferstream.stills.drawing import draw
def work():
    draw(PictureResult(path=Path("x.jpg"), picture=np.zeros((6000, 8000, 3), np.uint8), faces=()), Path(sys.argv[1]))
"""
    done = measure(body, tmp_path / "x.png")
    assert done.error == ""
    assert done.peak_mb < 500  # the libraries; 2,600 MB when matplotlib gets the whole picture
