"""The network of the quality checks, on the portrait with faults drawn by the test itself."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.detection.visibility import FAULTS, load_visibility, measures
from ferstream.domain.face import FaceImage
from ferstream.errors import ModelError
from tests.support.pictures import portrait_crop


@pytest.fixture(scope="module")
def face() -> FaceImage:
    return portrait_crop()


def with_mask(face: FaceImage, grey: int) -> FaceImage:
    drawn = face.copy()
    cv2.fillPoly(drawn, [np.array([[5, 28], [24, 25], [42, 28], [38, 47], [10, 47]], np.int32)], grey)
    return drawn


def with_hand(face: FaceImage, _: int = 0) -> FaceImage:
    drawn = face.copy()
    cv2.ellipse(drawn, (24, 38), (14, 9), 15, 0, 360, int(np.median(face[20:30, 14:34])), -1)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.6), np.uint8)


def with_bar_over_the_eyes(face: FaceImage, grey: int) -> FaceImage:
    drawn = face.copy()
    drawn[12:24] = grey
    return drawn


def moved(face: FaceImage, length: int, *, upright: bool = False) -> FaceImage:
    size = (1, length) if upright else (length, 1)
    return np.asarray(cv2.blur(face, size), np.uint8)


def grainy(face: FaceImage, gain: float, sigma: float) -> FaceImage:
    grain = np.random.default_rng(0).normal(0, sigma, face.shape)
    return np.clip(face * gain + grain, 0, 255).astype(np.uint8)


def faults(crop: FaceImage) -> dict[str, float]:
    return dict(zip(FAULTS, load_visibility().faults(crop), strict=True))


def test_a_face_that_can_be_seen_has_no_fault(face: FaceImage) -> None:
    for crop in (face, face[:, ::-1].copy(), np.asarray(cv2.GaussianBlur(face, (0, 0), 0.6), np.uint8)):
        assert max(faults(crop).values()) < 0.3


@pytest.mark.parametrize("grey", [20, 90, 160, 230])
def test_a_mask_of_any_grey_covers_the_face(grey: int, face: FaceImage) -> None:
    assert faults(with_mask(face, grey))["occluded"] > 0.9


@pytest.mark.parametrize("grey", [10, 60, 200])
def test_a_bar_over_the_eyes_covers_the_face(grey: int, face: FaceImage) -> None:
    assert faults(with_bar_over_the_eyes(face, grey))["occluded"] > 0.9


def test_a_hand_of_the_grey_of_the_skin_covers_the_face(face: FaceImage) -> None:
    assert faults(with_hand(face))["occluded"] > 0.9


@pytest.mark.parametrize("upright", [False, True])
def test_a_movement_of_eight_pixels_is_seen_in_both_directions(upright: bool, face: FaceImage) -> None:
    values = faults(moved(face, 9, upright=upright))
    assert values["blurred"] > 0.8
    assert values["occluded"] < 0.5


def test_a_soft_face_is_not_taken_for_a_moved_one(face: FaceImage) -> None:
    soft = np.asarray(cv2.GaussianBlur(face, (0, 0), 1.2), np.uint8)
    assert faults(soft)["blurred"] < faults(moved(face, 7))["blurred"] - 0.2


@pytest.mark.parametrize(("gain", "sigma"), [(0.05, 3), (0.1, 5), (1, 50)])
def test_grain_that_drowns_the_face_is_dark(gain: float, sigma: float, face: FaceImage) -> None:
    assert faults(grainy(face, gain, sigma))["dark"] > 0.7


def test_a_dim_or_slightly_grainy_face_is_not_dark(face: FaceImage) -> None:
    assert faults(grainy(face, 0.3, 1))["dark"] < 0.1
    assert faults(grainy(face, 1, 5))["dark"] < 0.1


def test_the_measures_are_finite_for_any_crop() -> None:
    for crop in (np.zeros((48, 48), np.uint8), np.full((48, 48), 255, np.uint8), np.eye(48, dtype=np.uint8) * 255):
        assert np.isfinite(measures(crop)).all()
        assert all(0 <= value <= 1 for value in load_visibility().faults(crop))


def test_missing_or_foreign_weights_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.npz"):
        load_visibility(tmp_path / "gone.npz")
    foreign = tmp_path / "other.npz"
    np.savez(foreign, weights=np.zeros(3))
    with pytest.raises(ModelError, match=r"other\.npz"):
        load_visibility(foreign)
