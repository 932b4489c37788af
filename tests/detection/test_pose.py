"""Head pose, checked against projections of a model head."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.detection.pose import (
    EYES_MM,
    EYES_TO_MOUTH_MM,
    MOUTH_AHEAD_MM,
    MOUTH_MM,
    NOSE_AHEAD_MM,
    NOSE_BELOW_EYES_MM,
    estimate_pose,
)
from ferstream.domain.face import Point

HEAD_MM = np.array(
    [
        (-EYES_MM / 2, 0, 0),
        (EYES_MM / 2, 0, 0),
        (0, NOSE_BELOW_EYES_MM, NOSE_AHEAD_MM),
        (-MOUTH_MM / 2, EYES_TO_MOUTH_MM, MOUTH_AHEAD_MM),
        (MOUTH_MM / 2, EYES_TO_MOUTH_MM, MOUTH_AHEAD_MM),
    ]
)
"""Points in mm: right, down, towards the camera."""


def landmarks(yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 1.0, shift: Point = (0.0, 0.0)) -> list[Point]:
    """Landmarks of the rotated model head in orthographic projection."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    turned_down = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    turned_right = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    leaned = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    points = HEAD_MM @ (leaned @ turned_down @ turned_right).T
    return [(float(x) * scale + shift[0], float(y) * scale + shift[1]) for x, y, _ in points]


@given(st.floats(-80, 80))
def test_a_pure_yaw_is_found(yaw: float) -> None:
    assert estimate_pose(landmarks(yaw=yaw)).yaw == pytest.approx(yaw, abs=0.01)


@given(st.floats(-50, 50))
def test_a_pure_pitch_is_found(pitch: float) -> None:
    pose = estimate_pose(landmarks(pitch=pitch))
    assert pose.pitch == pytest.approx(pitch, abs=0.01)
    assert pose.yaw == pytest.approx(0, abs=0.01)


@given(st.floats(-40, 40), st.floats(-20, 20), st.floats(-60, 60), st.floats(0.1, 10), st.floats(-1000, 1000))
def test_roll_position_and_size_do_not_change_yaw_and_pitch(yaw: float, pitch: float, roll: float, scale: float, shift: float) -> None:
    plain = estimate_pose(landmarks(yaw, pitch))
    moved = estimate_pose(landmarks(yaw, pitch, roll, scale, (shift, -shift)))
    assert moved.yaw == pytest.approx(plain.yaw, abs=0.1)
    assert moved.pitch == pytest.approx(plain.pitch, abs=0.1)
    assert moved.size_px == pytest.approx(plain.size_px * scale, rel=1e-3)


@given(st.floats(-40, 40), st.floats(-20, 20))
def test_yaw_and_pitch_together_are_found_within_a_few_degrees(yaw: float, pitch: float) -> None:
    pose = estimate_pose(landmarks(yaw, pitch))
    assert pose.yaw == pytest.approx(yaw, abs=8)
    assert pose.pitch == pytest.approx(pitch, abs=8)


def test_signs_of_yaw_pitch_and_roll() -> None:
    assert estimate_pose(landmarks(yaw=20)).yaw > 0 < estimate_pose(landmarks(pitch=20)).pitch
    assert landmarks(yaw=20)[2][0] > 0, "the nose of a face that looks right in the picture is right of its eyes' middle"
    assert estimate_pose(landmarks(roll=30)).roll == pytest.approx(30)


def test_eyes_that_changed_sides_are_beyond_ninety_degrees() -> None:
    eye_r, eye_l, nose, mouth_r, mouth_l = landmarks(yaw=80)
    assert abs(estimate_pose([eye_l, eye_r, nose, mouth_l, mouth_r]).yaw) > 90


def test_both_eyes_on_one_point_are_a_profile_whatever_the_direction_of_their_line() -> None:
    for eye in ((10.0, 10.5), (10.5, 10.0), (10.0, 9.5)):
        assert estimate_pose([(10, 10), eye, (18, 22), (11, 30), (11.5, 30)]).yaw > 70


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=5, max_size=5))
def test_any_five_points_give_finite_angles(points: list[Point]) -> None:
    pose = estimate_pose(points)
    assert all(math.isfinite(value) for value in (pose.yaw, pose.pitch, pose.roll, pose.size_px))
    assert -180 <= pose.yaw <= 180
    assert -90 <= pose.pitch <= 90


def test_five_equal_points_count_as_fully_turned() -> None:
    assert estimate_pose([(5.0, 5.0)] * 5).yaw == 90
