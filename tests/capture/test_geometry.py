"""Turns, flips and the shape of pixels: which matrix means what, and one value for luma, image and size."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.capture.geometry import (
    AS_STORED,
    UPRIGHT,
    Geometry,
    Orientation,
    PictureOptions,
    nearest_orientation,
    orientation_of_matrix,
    usable_pixel_aspect,
)
from ferstream.domain.frame import Luma
from tests.support.shaped_clips import EIGHT, displayed, matrix

ALL = [Orientation(*flags) for flags in product((False, True), repeat=3)]
PICTURE = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 64, 3)).astype(np.uint8)
orientations = st.sampled_from(ALL)


@pytest.mark.parametrize("name", EIGHT)
def test_each_matrix_displays_what_its_definition_says(name: str) -> None:
    orientation = nearest_orientation(matrix(*EIGHT[name]))
    np.testing.assert_array_equal(orientation.view(PICTURE), displayed(PICTURE, EIGHT[name]))
    np.testing.assert_array_equal(orientation.copy(IMAGE), displayed(IMAGE, EIGHT[name]))
    assert orientation.size((7, 5)) == orientation.view(PICTURE).shape[::-1]


def test_the_eight_matrices_are_eight_orientations() -> None:
    assert {nearest_orientation(matrix(*numbers)) for numbers in EIGHT.values()} == set(ALL)


@given(
    name=st.sampled_from(list(EIGHT)),
    degrees=st.floats(-40, 40),
    scales=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
    shift=st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1)),
    w=st.sampled_from([1 << 30, 1 << 16, 1, 0]),
)
def test_a_matrix_that_is_turned_a_little_scaled_and_shifted_is_the_nearest_one(
    name: str, degrees: float, scales: tuple[float, float], shift: tuple[int, int], w: int
) -> None:
    a, b, c, d = EIGHT[name]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across = [value * scales[0] for value in (cos * a - sin * b, sin * a + cos * b)]
    down = [value * scales[1] for value in (cos * c - sin * d, sin * c + cos * d)]
    numbers = (*(round(v * 65536) for v in across), 0, *(round(v * 65536) for v in down), 0, *shift, w)
    assert nearest_orientation(numbers) == nearest_orientation(matrix(a, b, c, d))


NONSENSE = {
    "all zero": (0,) * 9,
    "all ones": (1,) * 9,
    "all bits set": (-1,) * 9,
    "all the largest number": (2**31 - 1,) * 9,
    "all the smallest number": (-(2**31),) * 9,
    "one zero axis": (0, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    "the other zero axis": (0, 65536, 0, 0, 0, 0, 0, 0, 1 << 30),
    "singular": matrix(-1, 1, -1, 1),
    "nearly singular": matrix(-1, 0.01, -1, -0.01),
    "sheared by half": matrix(-1, 0, 0.5, -1),
    "sheared and turned": matrix(0, -1, 1, 0.7),
    "one axis a hundred times the other": matrix(-1, 0, 0, -100),
    "perspective": (-65536, 0, 1 << 20, 0, -65536, 0, 0, 0, 1 << 30),
    "behind the eye": (-65536, 0, 0, 0, -65536, 0, 0, 0, -(1 << 30)),
    "not a number": (math.nan, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    "infinite": (-65536, 0, 0, 0, -65536, 0, math.inf, 0, 1 << 30),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_the_identity(kind: str) -> None:
    assert nearest_orientation(NONSENSE[kind]) is UPRIGHT


@given(st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 9))
def test_any_nine_numbers_have_an_orientation(numbers: tuple[int, ...]) -> None:
    assert nearest_orientation(numbers) in ALL
    assert orientation_of_matrix(np.array(numbers, np.int32).tobytes()) == nearest_orientation(numbers)


@pytest.mark.parametrize("size", [0, 4, 35, 40])
def test_a_matrix_of_another_length_is_the_identity(size: int) -> None:
    assert orientation_of_matrix(b"\xff" * size) is UPRIGHT


@given(orientations, orientations)
def test_one_orientation_after_the_other(first: Orientation, second: Orientation) -> None:
    np.testing.assert_array_equal(first.then(second).view(PICTURE), second.view(first.view(PICTURE)))


@given(orientations)
def test_a_view_has_no_copy_and_a_copy_is_contiguous(orientation: Orientation) -> None:
    assert np.shares_memory(orientation.view(PICTURE), PICTURE)
    copy = orientation.copy(IMAGE)
    assert copy.flags.c_contiguous
    np.testing.assert_array_equal(copy, orientation.view(IMAGE))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
def test_rotate_is_clockwise_and_mirror_comes_after_it(degrees: int, mirror: bool) -> None:
    expected = np.rot90(PICTURE, -degrees // 90)
    geometry = PictureOptions(rotate=degrees, mirror=mirror).applied_to(AS_STORED)
    np.testing.assert_array_equal(geometry.orientation.view(PICTURE), np.fliplr(expected) if mirror else expected)


def test_settings_apply_to_what_the_source_displays() -> None:
    source = Geometry(Orientation.turned(90), 16 / 9)
    geometry = PictureOptions(rotate=270).applied_to(source)
    assert geometry == Geometry(UPRIGHT, 16 / 9)
    assert PictureOptions().applied_to(source) is source
    assert PictureOptions(pixel_aspect=0.5).applied_to(source) == Geometry(Orientation.turned(90), 0.5)


def test_a_turn_exchanges_width_and_height_of_a_pixel() -> None:
    assert Geometry(UPRIGHT, 2.0).displayed_pixel_aspect == 2.0
    assert Geometry(Orientation.turned(180), 2.0).displayed_pixel_aspect == 2.0
    assert Geometry(Orientation.turned(90), 2.0).displayed_pixel_aspect == 0.5


@pytest.mark.parametrize(
    ("geometry", "size", "expected"),
    [
        (AS_STORED, (1920, 1080), (640, 352)),
        (Geometry(Orientation.turned(90)), (1920, 1080), (640, 352)),
        (Geometry(UPRIGHT, 2.0), (960, 1080), (640, 352)),
        (Geometry(Orientation.turned(270), 2.0), (960, 1080), (640, 352)),
        (Geometry(UPRIGHT, 6 / 11), (704, 288), (640, 480)),
        (Geometry(UPRIGHT, 64 / 45), (720, 576), (640, 352)),
    ],
)
def test_the_detection_image_has_square_pixels(geometry: Geometry, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert geometry.detection_size(size, 640) == expected


def test_luma_that_is_displayed_as_stored_is_the_same_object() -> None:
    luma = Luma(PICTURE, limited=True)
    assert AS_STORED.luma(luma) is luma


@given(orientations)
def test_luma_is_turned_without_a_copy(orientation: Orientation) -> None:
    luma = Geometry(orientation, 2.0).luma(Luma(PICTURE, limited=True, bits=8))
    assert np.shares_memory(luma.plane, PICTURE)
    np.testing.assert_array_equal(luma.plane, orientation.copy(PICTURE[:, :, np.newaxis])[..., :].reshape(luma.plane.shape))
    assert (luma.limited, luma.pixel_aspect) == (True, 0.5 if orientation.swapped else 2.0)


@pytest.mark.parametrize(
    ("aspects", "expected"),
    [
        ((Fraction(16, 9),), 16 / 9),
        ((Fraction(32, 11),), 32 / 11),
        ((Fraction(6, 11),), 6 / 11),
        ((Fraction(0, 1), Fraction(4, 3)), 4 / 3),
        ((None, 4 / 3), 4 / 3),
        ((Fraction(1000, 1), Fraction(4, 3)), 4 / 3),
        ((Fraction(1, 1), Fraction(4, 3)), 1.0),
        ((Fraction(1215, 1216),), 1.0),
        ((0,), 1.0),
        ((Fraction(-4, 3),), 1.0),
        ((Fraction(1, 1000),), 1.0),
        ((math.nan, math.inf, -math.inf), 1.0),
        ((), 1.0),
    ],
)
def test_the_first_plausible_pixel_aspect_counts(aspects: tuple[Fraction | float | None, ...], expected: float) -> None:
    assert usable_pixel_aspect(*aspects) == expected
