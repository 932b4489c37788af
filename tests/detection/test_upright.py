"""The second look at faces that may lie on their side: which faces get it, and what it decides."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.detection.detector import DetectorLimits, Picture
from ferstream.detection.factory import load_detector
from ferstream.detection.upright import CHECK_SIZE, TILE_PX, UprightCheck
from ferstream.domain.face import Box, Face
from ferstream.domain.frame import Frame, FrameInfo, Luma
from tests.contract.test_detector import BrightSquareDetector


class Scripted(BrightSquareDetector):
    """Finds one face in the middle of one of the turned copies."""

    def __init__(self, score: float, *, copy: int = 1, off: float = 0.0) -> None:
        super().__init__()
        self.score, self.copy, self.off = score, copy, off
        self.pictures: list[Picture] = []
        self.sizes: list[tuple[int, int]] = []

    def detect(self, picture: Picture, *, width: int, height: int) -> tuple[Face, ...]:
        self.pictures.append(picture)
        self.sizes.append((width, height))
        x, y = (self.copy + 0.5 + self.off) * height, 0.5 * height
        return (Face(Box(x - height / 4, y - height / 4, height / 2, height / 2), self.score, ((x, y),) * 5),)


def frame(image: Picture | None = None, *, width: int = 640, height: int = 480) -> Frame:
    info = FrameInfo("door", 0, 0, 0, 0, width, height, live=False)
    image = np.zeros((480, 640, 3), np.uint8) if image is None else image
    return Frame(info, Luma(np.zeros((height, width), np.uint8), limited=False), image)


def face(x: float = 200, y: float = 150, *, side: float = 120, score: float = 0.85) -> Face:
    return Face(Box(x, y, side, side), score, ((x, y),) * 5)


@pytest.mark.parametrize("copy", [0, 1, 2])
def test_a_face_that_is_surer_when_it_is_turned_is_not_upright(copy: int) -> None:
    assert not UprightCheck(Scripted(0.86, copy=copy)).is_upright(frame(), face())
    assert UprightCheck(Scripted(0.85, copy=copy)).is_upright(frame(), face())


def test_a_face_beside_it_does_not_count() -> None:
    assert UprightCheck(Scripted(0.95, off=0.25)).is_upright(frame(), face())


@pytest.mark.parametrize("sure", [face(score=0.92), face(side=47)])
def test_sure_and_small_faces_get_no_second_look(sure: Face) -> None:
    detector = Scripted(0.99)
    assert UprightCheck(detector).is_upright(frame(), sure)
    assert detector.pictures == []


def test_the_detector_sees_the_surroundings_turned_three_times() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[150:210, 200:260] = (10, 20, 200)  # the left upper quarter of the face
    detector = Scripted(0.5)
    UprightCheck(detector).is_upright(frame(image), face())
    (seen,) = detector.pictures
    assert seen.shape == (CHECK_SIZE[1], CHECK_SIZE[0], 3)
    lit = [np.argwhere(seen[:, n * TILE_PX : (n + 1) * TILE_PX, 2] > 100).mean(axis=0) / TILE_PX for n in range(3)]
    np.testing.assert_allclose(lit, [(0.375, 0.625), (0.625, 0.625), (0.625, 0.375)], atol=0.02)


def test_its_size_is_given_in_source_pixels() -> None:
    detector = Scripted(0.5)
    UprightCheck(detector).is_upright(frame(width=1920, height=1440), face(600, 450, side=360))
    assert detector.sizes == [(3 * 720, 720)]


@given(st.floats(-50, 640), st.floats(-50, 480), st.floats(48, 900))
def test_any_box_has_surroundings(x: float, y: float, side: float) -> None:
    box = Box(max(x, 0), max(y, 0), min(side, 640 - max(x, 0)), min(side, 480 - max(y, 0)))
    detector = Scripted(0.5)
    UprightCheck(detector).is_upright(frame(), Face(box, 0.8, ((x, y),) * 5))
    assert [picture.shape for picture in detector.pictures] in ([], [(TILE_PX, 3 * TILE_PX, 3)])


def test_the_detector_of_the_project_tells_a_portrait_from_one_that_is_turned(portrait: Picture) -> None:
    detector = load_detector().new_detector(DetectorLimits())
    check = UprightCheck(detector)
    turned = {"upright": portrait, "upside down": cv2.rotate(portrait, cv2.ROTATE_180), "mirrored": cv2.flip(portrait, 1)}
    labels = {}
    for name, image in turned.items():
        height, width = image.shape[:2]
        found = detector.detect(np.asarray(image, np.uint8), width=width, height=height)
        labels[name] = [check.is_upright(frame(np.asarray(image, np.uint8), width=width, height=height), item) for item in found]
    assert labels["upright"] == labels["mirrored"] == [True]
    assert not any(labels["upside down"])


@pytest.fixture(scope="module")
def portrait() -> Picture:
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    rgb = np.asarray(imread(get_sample_data("grace_hopper.jpg", asfileobj=False)), np.uint8)
    return np.ascontiguousarray(cv2.resize(rgb, (256, 320), interpolation=cv2.INTER_AREA)[:, :, ::-1])
