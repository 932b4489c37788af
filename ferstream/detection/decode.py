"""Decoding of YuNet's raw outputs to faces. Scores are compared first, so that only the few cells above the limit are decoded.

YuNet is anchor-free; each of its cells covers 8, 16 or 32 pixels (Wu et al., "YuNet: A Tiny Millisecond-level Face
Detector", 2023; the layout is that of the published file 2023mar). Pure functions; float32 in, float32 out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.face import Box, Face

STRIDES = (8, 16, 32)
ALIGN_PX = STRIDES[-1]
"""Width and height of the network's input in pixels are multiples of this."""
_MAX_LOG_SIZE = 8.0
"""Largest logarithm of a size in strides (e^8 strides of 32 are 95,000 pixels); larger ones are noise and would overflow."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of all strides for one input size, in the order of the outputs.

    Attributes:
        origin: (n, 2) float32, column and row of each cell in strides.
        stride: (n, 1) float32, pixels per cell.
        slices: The part of 0..n that belongs to each stride.
    """

    origin: Floats
    stride: Floats
    slices: tuple[slice, ...]

    @property
    def cells(self) -> int:
        """Number of cells of all strides."""
        return len(self.origin)


def grid_for(width: int, height: int) -> Grid:
    """Return the cells of an input of ``width`` x ``height`` pixels, both multiples of 32."""
    origins, strides, slices, start = [], [], [], 0
    for stride in STRIDES:
        rows, columns = np.divmod(np.arange((width // stride) * (height // stride)), width // stride)
        origins.append(np.stack([columns, rows], axis=1))
        strides.append(np.full((len(rows), 1), stride))
        slices.append(slice(start, start + len(rows)))
        start += len(rows)
    return Grid(np.concatenate(origins).astype(np.float32), np.concatenate(strides).astype(np.float32), tuple(slices))


def cells_above(cls: Floats, obj: Floats, threshold: float, top_k: int) -> tuple[Indices, Floats]:
    """Return the cells with at least a score of ``threshold``, best first; equal scores by cell number.

    Args:
        cls: (n,) float32, probability of the class face.
        obj: (n,) float32, probability of an object.
        threshold: Lowest score, 0..1; the score is the geometric mean of the two.
        top_k: Largest number of cells to return.

    Returns:
        Cell numbers (k,) and their scores (k,) float32, 0..1.
    """
    squared = cls * obj
    cells = np.flatnonzero(squared >= np.float32(threshold) ** 2)
    scores = np.sqrt(np.clip(squared[cells], 0.0, 1.0))
    order = np.argsort(-scores, kind="stable")[:top_k]
    return cells[order], scores[order]


def decode_boxes(cells: Indices, boxes: Floats, grid: Grid) -> Floats:
    """Return the boxes of ``cells``: (k, 4) float32 left, top, right, bottom in input pixels, unclipped, from (n, 4) raw outputs."""
    stride = grid.stride[cells]
    raw = boxes[cells]
    centre = (grid.origin[cells] + raw[:, :2]) * stride
    half = np.exp(np.minimum(raw[:, 2:], _MAX_LOG_SIZE)) * stride / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def decode_landmarks(cells: Indices, landmarks: Floats, grid: Grid) -> Floats:
    """Return the landmarks of ``cells``: (k, 5, 2) float32 x, y in input pixels, from (n, 10) raw outputs."""
    points = landmarks[cells].reshape(-1, 5, 2)
    return (points + grid.origin[cells][:, None, :]) * grid.stride[cells][:, None, :]


def suppress(boxes: Floats, max_iou: float) -> list[int]:
    """Greedy non-maximum suppression.

    OpenCV's function takes a third of the time of a matrix of all overlaps in numpy (41 boxes: 30 us against 83).
    It gets positions as scores, so that only the order of the boxes decides.

    Args:
        boxes: (k, 4) float32 left, top, right, bottom, best first.
        max_iou: Highest overlap, 0..1, with a better box.

    Returns:
        Positions of the boxes to keep, ascending.
    """
    if len(boxes) < 2:
        return list(range(len(boxes)))
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(rectangles, np.arange(len(boxes), 0, -1, dtype=np.float32), 0.0, max_iou)  # type: ignore[arg-type]
    return [int(position) for position in kept]


def as_faces(corners: Floats, scores: Floats, points: Floats, size: tuple[int, int], min_face_px: float) -> tuple[Face, ...]:
    """Clip boxes to the picture, and leave out small faces and those outside.

    Args:
        corners: (k, 4) float32 left, top, right, bottom in source pixels.
        scores: (k,) float32, 0..1.
        points: (k, 5, 2) float32 landmarks in source pixels.
        size: Width and height of the source picture in pixels.
        min_face_px: Smallest shorter side of a box before it is clipped, in source pixels.

    Returns:
        The faces in the order of ``corners``, in plain Python numbers.
    """
    big = np.flatnonzero((corners[:, 2:] - corners[:, :2]).min(axis=1) >= min_face_px)
    clipped = np.clip(corners[big], 0.0, np.array([*size, *size], np.float32))
    sized = np.concatenate([clipped[:, :2], clipped[:, 2:] - clipped[:, :2]], axis=1)
    inside = np.flatnonzero((sized[:, 2:] > 0).all(axis=1))
    rows = zip(sized[inside].tolist(), scores[big][inside].tolist(), points[big][inside].tolist(), strict=True)
    return tuple(_face(box, score, landmarks) for box, score, landmarks in rows)


def _face(box: list[float], score: float, points: list[list[float]]) -> Face:
    right_eye, left_eye, nose, right_mouth, left_mouth = ((x, y) for x, y in points)
    return Face(box=Box(*box), score=score, landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth))
