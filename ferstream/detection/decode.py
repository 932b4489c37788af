"""From YuNet's raw outputs to boxes: thresholds first, so that only the few likely cells are decoded.

YuNet is anchor-free with one cell per stride of 8, 16 and 32 pixels (Wu et al., "YuNet: A Tiny
Millisecond-level Face Detector", 2023; the layout is that of the published 2023mar file). All
functions are pure; float32 in, float32 out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

STRIDES = (8, 16, 32)
ALIGN_PX = STRIDES[-1]
"""Sides of the network's input are multiples of this."""
_MAX_LOG_SIZE = 8.0
"""Sizes are exp(x) strides; beyond this (95,000 pixels) it is noise that would overflow."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of all strides of one input size, in output order.

    Attributes:
        origin: (n, 2) float32, column and row of each cell in strides.
        stride: (n, 1) float32, pixels per cell.
        slices: Where each stride's cells lie in 0..n.
    """

    origin: Floats
    stride: Floats
    slices: tuple[slice, ...]

    @property
    def cells(self) -> int:
        """Number of cells of all strides."""
        return len(self.origin)


def grid_for(width: int, height: int) -> Grid:
    """Lay out the cells of an input of ``width`` x ``height`` pixels, both multiples of 32."""
    origins, strides, slices, start = [], [], [], 0
    for stride in STRIDES:
        rows, columns = np.divmod(np.arange((width // stride) * (height // stride)), width // stride)
        origins.append(np.stack([columns, rows], axis=1))
        strides.append(np.full((len(rows), 1), stride))
        slices.append(slice(start, start + len(rows)))
        start += len(rows)
    return Grid(np.concatenate(origins).astype(np.float32), np.concatenate(strides).astype(np.float32), tuple(slices))


def likely(cls: Floats, obj: Floats, threshold: float, top_k: int) -> tuple[Indices, Floats]:
    """Pick the cells that score at least ``threshold``, best first; equal scores by cell number.

    Args:
        cls: (n,) float32, probability of the class face.
        obj: (n,) float32, probability of any object.
        threshold: Least score, 0..1, of the geometric mean of the two.
        top_k: Most cells to keep.

    Returns:
        Cell numbers (k,) and their scores (k,) float32, 0..1.
    """
    squared = cls * obj
    cells = np.flatnonzero(squared >= np.float32(threshold) ** 2)
    scores = np.sqrt(np.clip(squared[cells], 0.0, 1.0))
    order = np.argsort(-scores, kind="stable")[:top_k]
    return cells[order], scores[order]


def decode_boxes(cells: Indices, boxes: Floats, grid: Grid) -> Floats:
    """Return (k, 4) float32 left, top, right, bottom in input pixels, unclipped, for (n, 4) raw outputs."""
    stride = grid.stride[cells]
    raw = boxes[cells]
    centre = (grid.origin[cells] + raw[:, :2]) * stride
    half = np.exp(np.minimum(raw[:, 2:], _MAX_LOG_SIZE)) * stride / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def decode_landmarks(cells: Indices, landmarks: Floats, grid: Grid) -> Floats:
    """Return (k, 5, 2) float32 points in input pixels for (n, 10) raw outputs."""
    points = landmarks[cells].reshape(-1, 5, 2)
    return (points + grid.origin[cells][:, None, :]) * grid.stride[cells][:, None, :]


def suppress(boxes: Floats, max_iou: float) -> list[int]:
    """Greedy non-maximum suppression of boxes (k, 4) that are sorted best first.

    OpenCV's routine takes a third of the time of the matrix of all overlaps in numpy (41 boxes:
    30 us against 83). It gets the positions for scores, so that their order alone decides.

    Returns:
        Positions to keep, ascending: none overlaps a better one by more than ``max_iou``.
    """
    if len(boxes) < 2:
        return list(range(len(boxes)))
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(rectangles, np.arange(len(boxes), 0, -1, dtype=np.float32), 0.0, max_iou)  # type: ignore[arg-type]
    return [int(position) for position in kept]
