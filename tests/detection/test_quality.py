from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.detection.pose import Pose
from ferstream.detection.quality import QualityGate, QualityLimits, sharpness
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import Box, Face

Crop = npt.NDArray[np.uint8]
FRONTAL = Pose(yaw=0.0, pitch=0.0, roll=0.0, size_px=40.0)
FACE = Face(Box(100, 100, 80, 100), 0.9, ((125, 135), (155, 135), (140, 155), (128, 175), (152, 175)))


@pytest.fixture(scope="module")
def crop() -> Crop:
    """A drawn face: brows, eyes, nose and mouth."""
    face = np.full((480, 480), 150, np.uint8)
    for x in (151, 326):
        cv2.ellipse(face, (x, 178), (45, 18), 0, 0, 360, 40, -1)
        cv2.line(face, (x - 50, 120), (x + 50, 120), 60, 14)
    cv2.line(face, (237, 190), (237, 281), 110, 16)
    cv2.ellipse(face, (238, 361), (70, 20), 0, 0, 360, 70, -1)
    return np.asarray(cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)


def smeared(crop: Crop, sigma: float) -> Crop:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8)


def judge(pose: Pose = FRONTAL, *, face: Face = FACE, crop: Crop | None = None, limits: QualityLimits | None = None) -> Abstained | None:
    return QualityGate(limits).judge(face, pose, crop, width=640, height=480)


def test_a_plain_face_passes(crop: Crop) -> None:
    assert judge(crop=crop) is None


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_turned_face_does_not(sign: int, crop: Crop) -> None:
    limits = QualityLimits()
    for inside, outside in (
        (Pose(sign * (limits.max_yaw - 0.1), 0, 0, 40), Pose(sign * (limits.max_yaw + 0.1), 0, 0, 40)),
        (Pose(0, sign * (limits.max_pitch - 0.1), 0, 40), Pose(0, sign * (limits.max_pitch + 0.1), 0, 40)),
    ):
        assert judge(inside, crop=crop) is None
        assert judge(outside, crop=crop) is Abstained.TURNED


def test_a_leaning_head_is_no_turned_one(crop: Crop) -> None:
    assert judge(Pose(0, 0, 50, 40), crop=crop) is None


def test_a_face_whose_points_are_off_the_picture_is_not_shown(crop: Crop) -> None:
    points = FACE.landmarks
    outside = Face(FACE.box, 0.9, ((-1.0, 135.0), points[1], points[2], points[3], points[4]))
    assert judge(face=outside, crop=crop) is Abstained.TURNED


def test_small_boxes_and_small_geometry_are_both_small(crop: Crop) -> None:
    assert judge(face=Face(Box(0, 0, 23.9, 40), 0.9, FACE.landmarks), crop=crop) is Abstained.SMALL
    assert judge(Pose(0, 0, 0, 7.9), crop=crop) is Abstained.SMALL
    assert judge(face=Face(Box(0, 0, 23.9, 40), 0.9, FACE.landmarks), crop=crop, limits=QualityLimits(min_face_px=20)) is None


def test_a_smear_is_blurred(crop: Crop) -> None:
    assert judge(crop=smeared(crop, 4)) is Abstained.BLURRED
    assert judge(crop=np.full((48, 48), 90, np.uint8)) is Abstained.BLURRED


def test_without_a_crop_only_the_geometry_speaks() -> None:
    assert judge() is None


def test_the_first_reason_that_holds_is_given(crop: Crop) -> None:
    tiny = Face(Box(0, 0, 10, 10), 0.9, FACE.landmarks)
    smear = np.full((48, 48), 90, np.uint8)
    assert judge(Pose(80, 0, 0, 5), face=tiny, crop=smear) is Abstained.TURNED
    assert judge(Pose(0, 0, 0, 5), face=tiny, crop=smear) is Abstained.SMALL


def test_only_far_turned_faces_are_hopeless() -> None:
    gate = QualityGate(QualityLimits(hopeless_yaw=60))
    assert gate.is_hopeless(Pose(-61, 0, 0, 40))
    assert not gate.is_hopeless(Pose(59, 80, 0, 40))


def test_sharpness_falls_with_blur(crop: Crop) -> None:
    values = [sharpness(crop), *(sharpness(smeared(crop, sigma)) for sigma in (0.7, 1.5, 3))]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.5 > 0.2 > values[-1]


@given(st.floats(0.4, 1.0), st.integers(0, 60))
def test_light_hardly_changes_sharpness(crop: Crop, gain: float, offset: int) -> None:
    lit = np.clip(crop * gain + offset, 0, 255).astype(np.uint8)
    assert sharpness(lit) == pytest.approx(sharpness(crop), rel=0.25)


def test_a_hard_edge_outside_the_face_does_not_count(crop: Crop) -> None:
    smear = smeared(crop, 4)
    edged = smear.copy()
    edged[:, :9] = 255
    assert sharpness(edged) == pytest.approx(sharpness(smear), abs=0.05)
