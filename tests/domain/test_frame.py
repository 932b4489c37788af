"""The size of the detection image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ferstream.domain.frame import DETECTION_MULTIPLE, Luma, detection_size

sides = st.integers(1, 20_000)
targets = st.integers(1, 4096)


@given(sides, sides, targets)
@example(1, 1, 1)
@example(16, 20_000, 4096)
def test_both_sides_are_positive_multiples_of_32(width: int, height: int, target: int) -> None:
    for side in detection_size(width, height, target):
        assert side >= DETECTION_MULTIPLE
        assert side % DETECTION_MULTIPLE == 0


@given(sides, sides, targets)
def test_the_longer_side_is_the_target_and_is_not_enlarged(width: int, height: int, target: int) -> None:
    wanted = max(DETECTION_MULTIPLE, min(target, max(width, height)))
    assert abs(max(detection_size(width, height, target)) - wanted) <= DETECTION_MULTIPLE // 2


@given(st.integers(64, 8000), st.integers(64, 8000), st.integers(64, 4096))
def test_the_aspect_is_kept_within_the_rounding(width: int, height: int, target: int) -> None:
    small_width, small_height = detection_size(width, height, target)
    longer, shorter = max(width, height), min(width, height)
    small_longer, small_shorter = (small_width, small_height) if width >= height else (small_height, small_width)
    exact = small_longer * shorter / longer
    assume(exact >= DETECTION_MULTIPLE)
    assert abs(small_shorter - exact) <= DETECTION_MULTIPLE // 2 + 1


@given(sides, sides, targets)
def test_a_rotated_picture_has_the_rotated_size(width: int, height: int, target: int) -> None:
    assert detection_size(height, width, target) == detection_size(width, height, target)[::-1]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080, 640), (640, 352)),
        ((1080, 1920, 640), (352, 640)),
        ((1280, 720, 640), (640, 352)),
        ((640, 480, 640), (640, 480)),
        ((320, 240, 640), (320, 256)),
        ((20, 10, 640), (32, 32)),
    ],
)
def test_sizes_of_common_pictures(size: tuple[int, int, int], expected: tuple[int, int]) -> None:
    assert detection_size(*size) == expected


@pytest.mark.parametrize("size", [(0, 10, 640), (10, 0, 640), (10, 10, 0), (-1, 10, 640)])
def test_a_size_below_one_is_an_error(size: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="positive sides and target"):
        detection_size(*size)


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan")])
def test_a_pixel_aspect_that_is_not_positive_is_an_error(aspect: float) -> None:
    with pytest.raises(ValueError, match="positive pixel aspect"):
        detection_size(640, 480, 640, aspect)


@given(st.integers(64, 4000), st.integers(64, 4000), targets, st.floats(0.25, 4))
def test_pixels_are_stretched_and_never_squeezed(width: int, height: int, target: int, aspect: float) -> None:
    wide, high = width * max(1.0, aspect), height * max(1.0, 1 / aspect)
    longer = max(wide, high)
    scale = max(DETECTION_MULTIPLE, min(target, longer)) / longer
    small_width, small_height = detection_size(width, height, target, aspect)
    for small, side in ((small_width, wide), (small_height, high)):
        assert small == DETECTION_MULTIPLE or abs(small - side * scale) <= DETECTION_MULTIPLE * 1.5


@given(st.floats(0.25, 4))
def test_points_in_square_pixels_never_move_apart(aspect: float) -> None:
    luma = Luma(np.zeros((2, 2), np.uint8), limited=False, pixel_aspect=aspect)
    ((x, y),) = luma.in_square_pixels([(8.0, 8.0)])
    assert max(x, y) == 8.0
    assert x / y == pytest.approx(aspect)


def test_points_of_square_pixels_stay_as_they_are() -> None:
    points = [(1.5, 2.5)]
    assert Luma(np.zeros((2, 2), np.uint8), limited=False).in_square_pixels(points) is points
