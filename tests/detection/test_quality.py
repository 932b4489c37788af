"""Limits of pose, size and sharpness."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.detection.pose import Pose
from ferstream.detection.quality import QualityGate, QualityLimits, sharpness
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import Box, Face, FaceImage

FRONTAL = Pose(yaw=0.0, pitch=0.0, roll=0.0, size_px=40.0)
FACE = Face(Box(100, 100, 80, 100), 0.9, ((125, 135), (155, 135), (140, 155), (128, 175), (152, 175)))


@pytest.fixture(scope="module")
def crop() -> FaceImage:
    """A drawn face: brows, eyes, nose and mouth."""
    face = np.full((480, 480), 150, np.uint8)
    for x in (151, 326):
        cv2.ellipse(face, (x, 178), (45, 18), 0, 0, 360, 40, -1)
        cv2.line(face, (x - 50, 120), (x + 50, 120), 60, 14)
    cv2.line(face, (237, 190), (237, 281), 110, 16)
    cv2.ellipse(face, (238, 361), (70, 20), 0, 0, 360, 70, -1)
    return np.asarray(cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)


def blurred(crop: FaceImage, sigma: float) -> FaceImage:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8)


def reason(
    pose: Pose = FRONTAL, *, face: Face = FACE, crop: FaceImage | None = None, limits: QualityLimits | None = None
) -> Abstained | None:
    return QualityGate(limits).abstain_reason(face, pose, crop, width=640, height=480)


def test_a_frontal_sharp_face_has_no_reason_to_abstain(crop: FaceImage) -> None:
    assert reason(crop=crop) is None


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_face_beyond_the_limits_of_yaw_or_pitch_is_turned(sign: int, crop: FaceImage) -> None:
    limits = QualityLimits()
    for inside, outside in (
        (Pose(sign * (limits.max_yaw - 0.1), 0, 0, 40), Pose(sign * (limits.max_yaw + 0.1), 0, 0, 40)),
        (Pose(0, sign * (limits.max_pitch - 0.1), 0, 40), Pose(0, sign * (limits.max_pitch + 0.1), 0, 40)),
    ):
        assert reason(inside, crop=crop) is None
        assert reason(outside, crop=crop) is Abstained.TURNED


def test_roll_does_not_count_as_turned(crop: FaceImage) -> None:
    assert reason(Pose(0, 0, 50, 40), crop=crop) is None


def test_a_face_with_a_landmark_outside_the_picture_counts_as_turned(crop: FaceImage) -> None:
    points = FACE.landmarks
    outside = Face(FACE.box, 0.9, ((-1.0, 135.0), points[1], points[2], points[3], points[4]))
    assert reason(face=outside, crop=crop) is Abstained.TURNED


def test_a_small_box_or_small_distances_of_landmarks_are_small(crop: FaceImage) -> None:
    assert reason(face=Face(Box(0, 0, 23.9, 40), 0.9, FACE.landmarks), crop=crop) is Abstained.SMALL
    assert reason(Pose(0, 0, 0, 7.9), crop=crop) is Abstained.SMALL
    assert reason(face=Face(Box(0, 0, 23.9, 40), 0.9, FACE.landmarks), crop=crop, limits=QualityLimits(min_face_px=20)) is None


def test_a_blurred_or_flat_crop_is_blurred(crop: FaceImage) -> None:
    assert reason(crop=blurred(crop, 4)) is Abstained.BLURRED
    assert reason(crop=np.full((48, 48), 90, np.uint8)) is Abstained.BLURRED


def test_without_a_crop_only_pose_and_size_count() -> None:
    assert reason() is None


def test_turned_comes_before_small_before_blurred(crop: FaceImage) -> None:
    tiny = Face(Box(0, 0, 10, 10), 0.9, FACE.landmarks)
    flat = np.full((48, 48), 90, np.uint8)
    assert reason(Pose(80, 0, 0, 5), face=tiny, crop=flat) is Abstained.TURNED
    assert reason(Pose(0, 0, 0, 5), face=tiny, crop=flat) is Abstained.SMALL


def test_a_profile_is_decided_by_its_yaw() -> None:
    gate = QualityGate(QualityLimits(profile_yaw=60))
    assert gate.is_profile(Pose(-61, 0, 0, 40))
    assert not gate.is_profile(Pose(59, 80, 0, 40))


def test_sharpness_falls_with_blur(crop: FaceImage) -> None:
    values = [sharpness(crop), *(sharpness(blurred(crop, sigma)) for sigma in (0.7, 1.5, 3))]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.5 > 0.2 > values[-1]


@given(st.floats(0.4, 1.0), st.integers(0, 60))
def test_light_changes_sharpness_little(crop: FaceImage, gain: float, offset: int) -> None:
    lit = np.clip(crop * gain + offset, 0, 255).astype(np.uint8)
    assert sharpness(lit) == pytest.approx(sharpness(crop), rel=0.25)


def test_a_hard_edge_outside_the_face_does_not_count(crop: FaceImage) -> None:
    soft = blurred(crop, 4)
    edged = soft.copy()
    edged[:, :9] = 255
    assert sharpness(edged) == pytest.approx(sharpness(soft), abs=0.05)
