from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from ferstream.training.data import conditions
from tests.support.pictures import portrait_crop

Crop = NDArray[np.uint8]
COVERS: dict[str, Callable[[Crop, Generator], Crop]] = {
    "mask": conditions.mask,
    "hand": conditions.hand,
    "sunglasses": conditions.sunglasses,
    "scarf": conditions.cover_lower_face,
}


@pytest.fixture(scope="module")
def face() -> Crop:
    return portrait_crop()


def changed(face: Crop, drawn: Crop) -> NDArray[np.bool_]:
    return np.asarray(np.abs(drawn.astype(np.int64) - face) > 8)


def energy(face: Crop) -> tuple[float, float]:
    """Mean absolute differences along rows and along columns."""
    grey = face.astype(np.int64)
    return float(np.abs(np.diff(grey, axis=1)).mean()), float(np.abs(np.diff(grey, axis=0)).mean())


@pytest.mark.parametrize("name", COVERS)
def test_equal_seeds_draw_equal_faces_and_other_seeds_others(name: str, face: Crop) -> None:
    before = face.copy()
    one, same, other = (COVERS[name](face, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert one.shape == (48, 48) and one.dtype == np.uint8
    assert np.array_equal(face, before)


@pytest.mark.parametrize("name", ["mask", "hand", "scarf"])
def test_what_covers_the_mouth_leaves_the_eyes(name: str, face: Crop) -> None:
    for seed in range(8):
        where = changed(face, COVERS[name](face, np.random.default_rng(seed)))
        assert where[32:41, 18:30].mean() > 0.6
        assert where[13:20, 10:38].mean() < 0.2


def test_sunglasses_cover_both_eyes_and_leave_the_mouth(face: Crop) -> None:
    for seed in range(8):
        where = changed(face, conditions.sunglasses(face, np.random.default_rng(seed)))
        assert where[15:21, 11:19].mean() > 0.6
        assert where[15:21, 28:36].mean() > 0.6
        assert not where[32:].any()


@pytest.mark.parametrize("part", ["mouth", "eyes", "beside"])
def test_a_cover_lies_where_it_should(part: str, face: Crop) -> None:
    for seed in range(8):
        where = changed(face, conditions.cover(face, np.random.default_rng(seed), part=part, other=255 - face))
        mouth, eyes = where[33:40, 18:30].mean(), where[15:20, 12:36].mean()
        assert (mouth > 0.5) == (part == "mouth") and (eyes > 0.5) == (part == "eyes")


@pytest.mark.parametrize(("angle", "weakened"), [(0, 0), (90, 1)])
def test_a_movement_takes_detail_along_its_direction(angle: float, weakened: int, face: Crop) -> None:
    before, after = energy(face), energy(conditions.motion_blur(face, 6, angle))

    assert after[weakened] < 0.55 * before[weakened]
    assert after[1 - weakened] / before[1 - weakened] > 1.3 * after[weakened] / before[weakened]


def test_a_movement_spreads_one_point_evenly_over_its_length() -> None:
    point = np.zeros((48, 48), np.uint8)
    point[24, 24] = 240
    for angle in (0, 30, 45, 90, 135):
        moved = conditions.motion_blur(point, 8, angle).astype(np.float64)
        rows, columns = np.nonzero(moved > 8)
        length = np.hypot(rows.max() - rows.min(), columns.max() - columns.min())
        assert 6 <= length <= 10
        assert moved.sum() == pytest.approx(240, rel=0.15)


def test_a_strength_of_nothing_changes_nothing(face: Crop) -> None:
    random = np.random.default_rng(0)
    for drawn in (
        conditions.motion_blur(face, 0, 30),
        conditions.defocus(face, 0),
        conditions.shrink(face, 48),
        conditions.light(face),
        conditions.low_contrast(face, 1),
        conditions.noise(face, 0, random),
        conditions.rotate(face, 0),
    ):
        assert np.array_equal(drawn, face)


def test_light_contrast_noise_and_jpeg_do_what_they_say(face: Crop) -> None:
    assert conditions.light(face, gain=0.1).mean() == pytest.approx(0.1 * face.mean(), abs=0.6)
    assert conditions.light(face, offset=300).min() == 255
    flat = conditions.low_contrast(face, 0.1)
    assert flat.mean() == pytest.approx(face.mean(), abs=0.6) and flat.std() == pytest.approx(0.1 * face.std(), abs=0.4)
    grain = conditions.noise(np.full((48, 48), 120, np.uint8), 10, np.random.default_rng(0))
    assert grain.std() == pytest.approx(10, rel=0.1)
    errors = [np.abs(conditions.jpeg(face, quality).astype(np.int64) - face).mean() for quality in (90, 30, 5)]
    assert errors == sorted(errors)


def test_a_positive_angle_turns_clockwise() -> None:
    bar = np.zeros((48, 48), np.uint8)
    cv2.line(bar, (24, 24), (24, 4), 255, 3)

    turned = conditions.rotate(bar, 45)

    assert turned[:20, 30:].any() and not turned[:20, :18].any()
