"""Masks, quality and crops of the faces of a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from ferstream.detection.mask import MASK_GREY, PrivacyMask
from ferstream.detection.prepare import FacePreparer, thumbnail
from ferstream.detection.quality import QualityLimits
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import Box, Face, Point
from ferstream.domain.frame import Frame, FrameInfo, Luma

POINTS: tuple[Point, ...] = ((18, 20), (42, 20), (30, 34), (21, 46), (39, 46))
OF_NOISE = QualityLimits(check_visibility=False)
"""The picture is noise, which would be dark."""
PROFILE: tuple[Point, ...] = ((40, 20), (41, 20), (50, 34), (40, 46), (41, 46))


def frame() -> Frame:
    info = FrameInfo("door", 7, 280_000_000, 0, 0, 640, 480, live=False)
    plane = np.random.default_rng(1).integers(0, 256, (480, 640)).astype(np.uint8)
    return Frame(info, Luma(plane, limited=False), np.full((480, 640, 3), 200, np.uint8))


def face(x: float, y: float, points: Sequence[Point] = POINTS, *, size: float = 60, score: float = 0.9) -> Face:
    a, b, c, d, e = ((px + x, py + y) for px, py in points)
    return Face(Box(x, y, size, size), score, (a, b, c, d, e))


class Cutter:
    """An alignment that cuts a square around the nose, and keeps the landmarks it got."""

    def __init__(self) -> None:
        self.landmarks: list[Sequence[Point]] = []

    def __call__(self, luma: Luma, landmarks: Sequence[Point]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        self.landmarks.append(landmarks)
        left, top = int(landmarks[2][0]) - 24, int(landmarks[2][1]) - 24
        matrix = np.array([[1.0, 0, -left], [0, 1, -top]])
        return luma.plane[top : top + 48, left : left + 48].astype(np.uint8), matrix


def test_faces_keep_their_order_and_get_crops() -> None:
    cutter = Cutter()
    faces = [face(100, 100), face(300, 200, score=0.8)]
    picture = frame()
    detected = FacePreparer(align=cutter, limits=OF_NOISE).prepare(picture, faces)
    assert detected.info is picture.info
    assert [item.face for item in detected.faces] == faces
    assert [item.crop.shape for item in detected.faces if item.crop is not None] == [(48, 48)] * 2
    assert [item.abstained for item in detected.faces] == [None, None]


def test_no_faces_give_an_empty_frame() -> None:
    assert FacePreparer(align=Cutter()).prepare(frame(), []).faces == ()


def test_a_profile_has_no_crop() -> None:
    cutter = Cutter()
    (item,) = FacePreparer(align=cutter).prepare(frame(), [face(100, 100, PROFILE)]).faces
    assert item.abstained is Abstained.TURNED
    assert item.crop is None
    assert cutter.landmarks == []


def test_small_and_blurred_faces_have_a_crop() -> None:
    limits = QualityLimits(min_sharpness=1e9)
    small, blurred = FacePreparer(align=Cutter(), limits=limits).prepare(frame(), [face(100, 100, size=20), face(300, 200)]).faces
    assert (small.abstained, blurred.abstained) == (Abstained.SMALL, Abstained.BLURRED)
    assert small.crop is not None and blurred.crop is not None


def test_a_face_in_a_mask_is_dropped_and_the_crop_of_one_beside_it_is_masked() -> None:
    mask = PrivacyMask([[[0, 0], [0.2, 0], [0.2, 1], [0, 1]]])
    cutter = Cutter()
    (kept,) = FacePreparer(align=cutter, mask=mask).prepare(frame(), [face(60, 100), face(110, 200)]).faces
    assert kept.face.box.x == 110
    assert len(cutter.landmarks) == 1
    assert kept.crop is not None
    edge = 128 - (110 + 30 - 24)
    assert (kept.crop[:, :edge] == MASK_GREY).all()
    assert len(np.unique(kept.crop[:, edge + 4 :])) > 50


def test_masks_are_filled_in_the_detection_image_only() -> None:
    picture = frame()
    before = picture.luma.plane.copy()
    FacePreparer(align=Cutter(), mask=PrivacyMask([[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]])).apply_masks(picture)
    assert (picture.detection_image[:, :320] == MASK_GREY).all()
    assert (picture.detection_image[:, 324:] == 200).all()
    assert (picture.luma.plane == before).all(), "the decoder's memory is read only"


@pytest.mark.parametrize("masked", [True, False])
def test_the_plane_may_be_read_only(masked: bool) -> None:
    picture = frame()
    picture.luma.plane.flags.writeable = False
    mask = PrivacyMask([[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]) if masked else None
    assert FacePreparer(align=Cutter(), mask=mask).prepare(picture, [face(310, 100)]).faces


def test_a_face_that_is_not_upright_is_turned_and_keeps_its_crop() -> None:
    (item,) = FacePreparer(align=Cutter(), limits=OF_NOISE).prepare(frame(), [face(100, 100)], lambda frame, face: False).faces
    assert item.abstained is Abstained.TURNED
    assert item.crop is not None


def test_faces_without_a_label_are_not_looked_at_again() -> None:
    asked: list[Face] = []

    def is_upright(frame: Frame, face: Face) -> bool:
        asked.append(face)
        return True

    faces = [face(100, 100, PROFILE), face(200, 100, size=20), face(300, 100)]
    FacePreparer(align=Cutter(), limits=OF_NOISE).prepare(frame(), faces, is_upright)
    assert asked == faces[2:]


@pytest.mark.parametrize("degrees", [61, 90, 120, 180, -90, -150])
def test_landmarks_that_lie_on_their_side_are_turned(degrees: float) -> None:
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    points = [complex(x - 30, y - 33) * turn for x, y in POINTS]
    (item,) = FacePreparer(align=Cutter()).prepare(frame(), [face(100, 100, [(p.real + 30, p.imag + 33) for p in points])]).faces
    assert item.abstained is Abstained.TURNED


@pytest.mark.parametrize("aspect", [0.5, 16 / 9, 2.9])
def test_the_pose_is_that_of_square_pixels(aspect: float) -> None:
    """Squeezed by half, a frontal face has the eye distance of a profile and the proportions of a bowed one."""
    picture = frame()
    luma = Luma(picture.luma.plane, limited=False, pixel_aspect=aspect)
    squeezed = [(x / aspect + 40, y) for x, y in POINTS]
    turned = [(x / aspect + 40, y) for x, y in ((18, 20), (42, 20), (42, 34), (21, 46), (39, 46))]
    faces = [face(100, 100, squeezed), face(300, 100, turned)]
    frontal, profile = (
        FacePreparer(align=Cutter(), limits=OF_NOISE).prepare(Frame(picture.info, luma, picture.detection_image), faces).faces
    )
    assert (frontal.abstained, profile.abstained) == (None, Abstained.TURNED)


@pytest.mark.parametrize("size", [(360, 640), (352, 640), (640, 352), (64, 64), (32, 32)])
def test_the_thumbnail_is_the_picture_in_16_by_9_grey_pixels(size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    picture[:, size[1] // 2 :] = 200
    small = thumbnail(picture)
    assert small.shape == (9, 16)
    assert small.dtype == np.float32
    assert small[:, 0].tolist() == [0.0] * 9
    assert small[:, -1].tolist() == [200.0] * 9


def test_a_privacy_mask_covers_the_thumbnail_too() -> None:
    preparer = FacePreparer(align=Cutter(), mask=PrivacyMask((((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),)))
    picture = frame()
    preparer.apply_masks(picture)
    made = preparer.prepare(picture, []).thumbnail
    assert made is not None
    assert set(made.ravel().tolist()) == {float(MASK_GREY)}
