"""Decoding of YuNet's raw outputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ferstream.detection.decode import as_faces, cells_above, decode_boxes, decode_landmarks, grid_for, suppress


def test_cells_are_laid_out_row_by_row_for_each_stride() -> None:
    grid = grid_for(64, 32)
    assert [part.stop - part.start for part in grid.slices] == [8 * 4, 4 * 2, 2 * 1]
    assert grid.cells == 42
    assert grid.origin[9].tolist() == [1, 1]
    assert grid.stride[32:34, 0].tolist() == [16, 16]
    assert grid.origin[41].tolist() == [1, 0]


def test_a_box_is_centred_on_its_cell_and_sized_by_the_exponential() -> None:
    grid = grid_for(64, 64)
    cell = 9  # stride 8, column 1, row 1
    raw = np.zeros((grid.cells, 4), np.float32)
    raw[cell] = (0.5, 0.25, math.log(2), math.log(4))
    left, top, right, bottom = decode_boxes(np.array([cell]), raw, grid)[0].tolist()
    assert (left + right) / 2 == pytest.approx(1.5 * 8)
    assert (top + bottom) / 2 == pytest.approx(1.25 * 8)
    assert (right - left, bottom - top) == (pytest.approx(16), pytest.approx(32))


def test_a_huge_size_does_not_overflow() -> None:
    grid = grid_for(32, 32)
    raw = np.full((grid.cells, 4), 1e4, np.float32)
    assert np.isfinite(decode_boxes(np.arange(grid.cells), raw, grid)).all()


def test_landmarks_are_offsets_from_their_cell() -> None:
    grid = grid_for(64, 64)
    cell = grid.slices[1].start + 5  # stride 16, column 1, row 1
    raw = np.zeros((grid.cells, 10), np.float32)
    raw[cell] = np.arange(10) / 10
    points = decode_landmarks(np.array([cell]), raw, grid)[0]
    assert points[0].tolist() == pytest.approx([16.0, 17.6])
    assert points[4].tolist() == pytest.approx([28.8, 30.4])


def test_the_score_is_the_geometric_mean_and_equal_scores_keep_cell_order() -> None:
    cls = np.array([0.9, 0.1, 0.64, 0.9], np.float32)
    obj = np.array([0.4, 1.0, 1.0, 0.4], np.float32)
    cells, scores = cells_above(cls, obj, 0.5, 10)
    assert cells.tolist() == [2, 0, 3]
    assert scores.tolist() == pytest.approx([0.8, 0.6, 0.6])


def test_at_most_top_k_cells_are_returned() -> None:
    cls = np.linspace(0.5, 0.9, 20, dtype=np.float32)
    cells, _ = cells_above(cls, np.ones(20, np.float32), 0.1, 3)
    assert cells.tolist() == [19, 18, 17]


def test_scores_are_at_most_one() -> None:
    _, scores = cells_above(np.array([1.2], np.float32), np.array([1.1], np.float32), 0.5, 3)
    assert scores.tolist() == [1.0]


_corner = st.floats(0, 100, width=32)


@st.composite
def _boxes(draw: st.DrawFn) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    count = draw(st.integers(0, 12))
    corners = draw(hnp.arrays(np.float32, (count, 2), elements=_corner))
    sizes = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(1, 60, width=32)))
    return np.concatenate([corners, corners + sizes], axis=1).reshape(-1, 4)


@given(_boxes(), st.floats(0.1, 0.9))
def test_kept_boxes_do_not_overlap_and_suppressed_ones_do(boxes: np.ndarray[tuple[int, int], np.dtype[np.float32]], most: float) -> None:
    kept = suppress(boxes, most)
    assert kept == sorted(set(kept))
    for position in range(len(boxes)):
        better = [k for k in kept if k < position]
        overlaps = any(_iou(boxes[position], boxes[k]) > most + 1e-5 for k in better)
        clear = all(_iou(boxes[position], boxes[k]) < most - 1e-5 for k in better)
        if overlaps:
            assert position not in kept
        if clear:
            assert position in kept


def test_a_suppressed_box_suppresses_no_other() -> None:
    boxes = np.array([[0, 0, 40, 40], [20, 0, 60, 40], [40, 0, 80, 40]], np.float32)
    assert suppress(boxes, 0.3) == [0, 2], "the first box suppresses the middle one, which then does not suppress the last"


def test_the_first_of_two_overlapping_boxes_is_kept_whatever_their_sizes() -> None:
    boxes = np.array([[5, 5, 35, 35], [0, 0, 40, 40]], np.float32)
    assert suppress(boxes, 0.3) == [0]


@pytest.mark.parametrize("count", [0, 1])
def test_zero_and_one_box_are_kept(count: int) -> None:
    assert suppress(np.zeros((count, 4), np.float32), 0.3) == list(range(count))


def _iou(a: np.ndarray[tuple[int], np.dtype[np.float32]], b: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    wide = max(0.0, min(float(a[2]), float(b[2])) - max(float(a[0]), float(b[0])))
    high = max(0.0, min(float(a[3]), float(b[3])) - max(float(a[1]), float(b[1])))
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    return wide * high / (sum(areas) - wide * high)


def test_a_box_over_the_edge_is_clipped_and_one_outside_is_dropped() -> None:
    corners = np.array([[-10, -20, 30, 40], [90, 10, 130, 60], [101, 10, 140, 50]], np.float32)
    points = np.zeros((3, 5, 2), np.float32)
    faces = as_faces(corners, np.array([0.9, 0.8, 0.7], np.float32), points, (100, 80), 24.0)
    assert [(face.box.x, face.box.y, face.box.w, face.box.h) for face in faces] == [(0, 0, 30, 40), (90, 10, 10, 50)]
    assert [round(face.score, 3) for face in faces] == [0.9, 0.8]


def test_a_small_box_is_left_out_by_its_size_before_clipping() -> None:
    corners = np.array([[0, 0, 23, 40], [-20, 0, 10, 30]], np.float32)
    faces = as_faces(corners, np.array([0.9, 0.8], np.float32), np.zeros((2, 5, 2), np.float32), (100, 80), 24.0)
    assert [(face.box.w, face.box.h) for face in faces] == [(10, 30)]
