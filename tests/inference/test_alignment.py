"""Alignment: places of landmarks, resampling without aliasing, ranges, and any input."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.domain.face import Point
from ferstream.domain.frame import Luma
from ferstream.inference.alignment import ALIGNMENTS, CANONICAL, FER2013_5PT, align, align_with_matrix, similarity

Points = list[Point]


def moved(scale: float, degrees: float, x: float, y: float) -> Points:
    """The canonical points of a face with this scale, roll in degrees and centre in a picture."""
    rotation = complex(scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees)))
    points = [complex(px - 23.5, py - 23.5) * rotation + complex(x, y) for px, py in CANONICAL]
    return [(point.real, point.imag) for point in points]


def smooth_picture(height: int = 400, width: int = 600) -> npt.NDArray[np.uint8]:
    """A picture without fine detail, in which different resampling methods agree."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = 110 + 60 * np.sin(columns / 41) + 50 * np.cos(rows / 37)
    return np.asarray(np.clip(waves, 0, 255), np.uint8)


def apply(matrix: npt.NDArray[np.float64], points: Points) -> npt.NDArray[np.float64]:
    return np.column_stack([np.array(points), np.ones(len(points))]) @ matrix.T


places = st.tuples(st.floats(0.05, 40), st.floats(-180, 180), st.floats(-500, 4000), st.floats(-500, 4000))


class TestSimilarity:
    @given(place=places)
    def test_a_similarity_is_recovered_exactly(self, place: tuple[float, float, float, float]) -> None:
        points = moved(*place)
        assert apply(similarity(points, CANONICAL), points) == pytest.approx(np.array(CANONICAL), abs=1e-6)

    @given(place=places, noise=st.lists(st.floats(-3, 3), min_size=10, max_size=10))
    def test_it_is_the_least_squares_solution(self, place: tuple[float, float, float, float], noise: list[float]) -> None:
        points = [(x + dx * place[0], y + dy * place[0]) for (x, y), dx, dy in zip(moved(*place), noise[:5], noise[5:], strict=True)]
        ours = similarity(points, CANONICAL)
        rows = [row for x, y in points for row in ([x, -y, 1, 0], [y, x, 0, 1])]
        a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(CANONICAL).ravel(), rcond=None)[0]
        expected = np.array([[a, -b, tx], [b, a, ty]])
        assert apply(ours, points) == pytest.approx(apply(expected, points), abs=1e-4)

    @given(place=places)
    def test_it_is_never_a_reflection(self, place: tuple[float, float, float, float]) -> None:
        swapped = [moved(*place)[index] for index in (1, 0, 2, 4, 3)]
        matrix = similarity(swapped, CANONICAL)
        assert np.linalg.det(matrix[:, :2]) > 0


class TestAlign:
    def test_the_alignment_is_in_the_table_under_its_id(self) -> None:
        assert ALIGNMENTS[FER2013_5PT] is align_with_matrix

    @pytest.mark.parametrize("scale", [0.4, 1.0, 1.6, 3.0, 5.3])
    @pytest.mark.parametrize("degrees", [-40, 0, 25, 170])
    def test_the_crop_shows_the_mean_of_the_region_under_each_pixel(self, scale: float, degrees: float) -> None:
        picture = smooth_picture()
        crop, matrix = align_with_matrix(Luma(picture, limited=False), moved(scale, degrees, 300, 200))
        plain = cv2.warpAffine(picture, matrix, (48, 48), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        assert np.abs(crop.astype(int) - plain.astype(int)).max() <= 6

    def test_fine_detail_of_a_large_face_does_not_alias(self) -> None:
        checks = np.indices((800, 800)).sum(axis=0) % 2 * 255
        crop = align(Luma(checks.astype(np.uint8), limited=False), moved(12, 10, 400, 400))
        assert crop.min() > 110
        assert crop.max() < 146

    def test_an_edge_stays_in_place_at_any_scale(self) -> None:
        for scale in (1.0, 1.4, 1.6, 2.4, 2.6, 5.0, 9.7):
            picture = np.zeros((700, 900), np.uint8)
            picture[:, 450:] = 200
            crop = align(Luma(picture, limited=False), moved(scale, 0, 449.5, 350))
            position = 47 - crop[24].astype(float).sum() / 200
            assert position == pytest.approx(23, abs=0.51), scale

    def test_outside_the_picture_its_edge_is_repeated(self) -> None:
        picture = np.full((60, 60), 90, np.uint8)
        picture[:, 0] = 30
        crop = align(Luma(picture, limited=False), moved(1.0, 0, 0, 30))
        assert (crop[:, :20] == 30).all()
        assert (crop[:, 26:] == 90).all()

    def test_limited_range_is_expanded_on_the_crop(self) -> None:
        full = smooth_picture()
        limited = np.rint(16 + full.astype(float) * 219 / 255).astype(np.uint8)
        points = moved(2.0, 12, 300, 200)
        expected = align(Luma(full, limited=False), points)
        given_crop = align(Luma(limited, limited=True), points)
        assert np.abs(expected.astype(int) - given_crop.astype(int)).max() <= 2

    def test_levels_outside_limited_range_are_clipped(self) -> None:
        picture = np.zeros((100, 100), np.uint8)
        picture[:, 50:] = 255
        crop = align(Luma(picture, limited=True), moved(1.0, 0, 50, 50))
        assert crop.min() == 0
        assert crop.max() == 255

    @pytest.mark.parametrize("bits", [10, 12, 16])
    @pytest.mark.parametrize("limited", [True, False])
    @pytest.mark.parametrize("scale", [0.7, 3.0])
    def test_deeper_planes_give_the_same_crop(self, bits: int, limited: bool, scale: float) -> None:
        eight = smooth_picture()
        points = moved(scale, 5, 300, 200)
        deep = (eight.astype(np.uint32) * (((1 << bits) - 1) / 255)).astype(np.uint16)
        if limited:
            unit = 1 << (bits - 8)
            deep = np.rint(16 * unit + eight.astype(float) * (219 * unit) / 255).astype(np.uint16)
        crop = align(Luma(deep, limited=limited, bits=bits), points)
        assert np.abs(crop.astype(int) - align(Luma(eight, limited=False), points).astype(int)).max() <= 2

    def test_the_plane_is_only_read(self) -> None:
        picture = smooth_picture()
        picture.flags.writeable = False
        crop = align(Luma(picture, limited=False), moved(1.0, 0, 300, 200))
        assert crop.flags.writeable
        assert not np.shares_memory(crop, picture)

    def test_a_view_of_a_padded_plane_gives_the_same_crop(self) -> None:
        padded = np.zeros((400, 640), np.uint8)
        padded[:, :600] = smooth_picture()
        view = padded[:, :600]
        points = moved(3.0, 20, 590, 200)
        assert (align(Luma(view, limited=False), points) == align(Luma(np.ascontiguousarray(view), limited=False), points)).all()

    @pytest.mark.parametrize(
        "points",
        [
            [(10.0, 10.0)] * 5,
            [(0.0, 0.0)] * 5,
            [(float("nan"), 1.0)] * 5,
            [(float("inf"), 1.0), (2.0, 3.0), (4.0, 5.0), (6.0, 7.0), (8.0, 9.0)],
            [(1e30, 1e30), (-1e30, 1e30), (0.0, 0.0), (1.0, 1.0), (2.0, 2.0)],
            [(1e9 + i, 1e9) for i in range(5)],
            [(10.0 + i * 1e-9, 10.0) for i in range(5)],
        ],
    )
    def test_degenerate_landmarks_give_a_crop(self, points: Points) -> None:
        crop, matrix = align_with_matrix(Luma(smooth_picture(), limited=True), points)
        assert crop.shape == (48, 48)
        assert crop.dtype == np.uint8
        assert np.isfinite(matrix).all()

    @settings(max_examples=200, deadline=None)
    @given(
        size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
        points=st.lists(st.tuples(st.floats(-200, 300), st.floats(-200, 300)), min_size=5, max_size=5),
        limited=st.booleans(),
        deep=st.booleans(),
    )
    def test_any_picture_and_any_landmarks_give_a_crop(self, size: tuple[int, int], points: Points, limited: bool, deep: bool) -> None:
        plane: Any = np.full(size, 700 if deep else 170, np.uint16 if deep else np.uint8)
        crop, matrix = align_with_matrix(Luma(plane, limited=limited, bits=10 if deep else 8), points)
        assert crop.shape == (48, 48)
        assert crop.min() == crop.max()
        assert np.isfinite(matrix).all()


def test_the_canonical_face_is_symmetric_and_upright() -> None:
    right_eye, left_eye, nose, right_mouth, left_mouth = CANONICAL
    assert right_eye[1] == left_eye[1]
    assert right_mouth[1] == left_mouth[1]
    assert right_eye[0] + left_eye[0] == pytest.approx(47)
    assert right_mouth[0] + left_mouth[0] == pytest.approx(47)
    assert nose[0] == 23.5
    assert right_eye[1] < nose[1] < right_mouth[1]


class TestPixelsThatAreNotSquare:
    @pytest.mark.parametrize("aspect", [0.5, 6 / 11, 0.9, 12 / 11, 16 / 9, 32 / 11])
    @pytest.mark.parametrize("degrees", [0, 30, 160])
    @pytest.mark.parametrize("scale", [0.7, 3.0])
    def test_a_squeezed_face_gives_the_crop_of_the_face_in_square_pixels(self, aspect: float, degrees: float, scale: float) -> None:
        square = smooth_picture(400, 600)
        width = round(600 / aspect)
        exact = 600 / width
        squeezed = np.asarray(cv2.resize(square, (width, 400), interpolation=cv2.INTER_AREA if aspect > 1 else cv2.INTER_LINEAR), np.uint8)
        points = moved(scale, degrees, 300, 200)
        there = [((x + 0.5) / exact - 0.5, y) for x, y in points]
        expected = align(Luma(square, limited=False), points)
        crop, matrix = align_with_matrix(Luma(squeezed, limited=False, pixel_aspect=exact), there)
        assert np.abs(crop.astype(int) - expected.astype(int)).max() <= 8
        assert apply(matrix, there) == pytest.approx(np.array(CANONICAL), abs=1e-6)

    @given(places, st.floats(0.25, 4))
    @settings(max_examples=50, deadline=None)
    def test_the_matrix_leads_to_the_canonical_points(self, place: tuple[float, float, float, float], aspect: float) -> None:
        luma = Luma(smooth_picture(40, 60), limited=False, pixel_aspect=aspect)
        scale_x, scale_y = luma.square_scale
        points = [(x / scale_x, y / scale_y) for x, y in moved(*place)]
        crop, matrix = align_with_matrix(luma, points)
        assert crop.shape == (48, 48)
        assert apply(matrix, points) == pytest.approx(np.array(CANONICAL), abs=1e-4)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("view", ["transposed", "mirrored", "upside down", "turned"])
def test_the_view_of_a_turned_picture_gives_the_crop_of_its_copy(view: str, bits: int) -> None:
    stored = np.random.default_rng(3).integers(0, 1 << bits, (400, 600), np.uint8 if bits == 8 else np.uint16)
    shown: Any = {"transposed": stored.T, "mirrored": stored[:, ::-1], "upside down": stored[::-1], "turned": stored.T[:, ::-1]}[view]
    shown.flags.writeable = False
    for points in (moved(0.5, 10, 200, 200), moved(4.0, -20, 200, 200)):
        crop = align(Luma(shown, limited=True, bits=bits), points)
        np.testing.assert_array_equal(crop, align(Luma(np.ascontiguousarray(shown), limited=True, bits=bits), points))
