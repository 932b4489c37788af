"""Warping a face to the canonical 48x48 geometry, the same in training and in service.

The geometry is that of the faces of FER2013: the Procrustes mean of the five landmarks that YuNet finds in
its Training pictures and their mirror images, at their geometric mean size and median place (measured by
``bench/alignment_report.py``; docs/adr/0009). A face is warped to it by the least-squares similarity of its
landmarks (Umeyama, IEEE PAMI 13(4), 1991, in two dimensions and without reflection), straight from the
full-size luma plane.

Pure functions without state. The detection workers call them as ``ferstream.domain.ports.Align``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.face import FACE_SIZE_PX, Affine, FaceImage, Point
from ferstream.domain.frame import Luma
from ferstream.domain.ports import Align

FER2013_5PT = "fer2013-5pt/1"
"""Id of ``CANONICAL``. Models depend on the geometry, so a changed point needs a new id."""

CANONICAL: tuple[Point, Point, Point, Point, Point] = ((14.9, 17.7), (32.1, 17.7), (23.5, 27.8), (16.5, 36.0), (30.5, 36.0))
"""Right eye, left eye, nose tip, right and left mouth corner of the subject in crop pixels; pixel centres are at integers."""

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(height, width) grey picture."""

_MIN_SPREAD_PX2 = 1e-6
"""Landmarks with a smaller sum of squared distances from their mean count as one point."""
_MAX_SCALE = 1e4
"""Scales above this, or below its reciprocal, are replaced by 1."""
_MARGIN_PX = 2
"""Pixels of the crop by which the region that is read is larger than the crop."""
_LEAST_SHRINK = 0.75
"""A region is not halved if the warp would then scale it by more than the reciprocal of this."""


def align(luma: Luma, landmarks: Sequence[Point]) -> FaceImage:
    """Return the aligned crop, (48, 48) uint8, 0..255; see ``align_with_matrix``."""
    return align_with_matrix(luma, landmarks)[0]


def align_with_matrix(luma: Luma, landmarks: Sequence[Point]) -> tuple[FaceImage, Affine]:
    """Cut and warp a face to the canonical geometry.

    The region of a face larger than the crop is first halved as often as needed (mean of each 2x2 block), so
    that the warp does not alias. Outside the picture its edge is repeated. Landmarks that all fall on one
    point, or are not finite, give a crop at scale 1. The similarity is that of square pixels, so that a face in pixels of
    another shape gets its proportions back. Of a turned or mirrored plane OpenCV copies the region only.

    Args:
        luma: The full-size grey plane; read only.
        landmarks: Five (x, y) in pixels of the plane, in the order of ``CANONICAL``.

    Returns:
        The crop, (48, 48) uint8, full range 0..255; the (2, 3) float64 matrix from source to crop pixels.
    """
    scale_x, scale_y = luma.square_scale
    square = similarity(luma.in_square_pixels(landmarks), CANONICAL)
    region, to_crop = _shrunk_region(luma.plane, square, scale_x, scale_y)
    matrix = square * (scale_x, scale_y, 1.0)
    crop = cv2.warpAffine(region, to_crop, (FACE_SIZE_PX, FACE_SIZE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _full_range(cast("Plane", crop), limited=luma.limited, bits=luma.bits), matrix


def similarity(source: Sequence[Point], target: Sequence[Point]) -> Affine:
    """Return the (2, 3) float64 matrix of rotation, scale and shift that maps ``source`` closest to ``target`` in least squares.

    In two dimensions Umeyama's solution without reflection has a closed form: with centred points as complex
    numbers, ``sum(conj(s) * t) / sum(|s|^2)``. If all source points fall on one point, or are not finite, there
    is no rotation and the scale is 1.
    """
    points = [complex(x, y) for x, y in source]
    goals = [complex(x, y) for x, y in target]
    middle, goal = sum(points) / len(points), sum(goals) / len(goals)
    spread = sum(abs(p - middle) ** 2 for p in points)
    factor = complex(1.0, 0.0)
    if math.isfinite(spread) and spread > _MIN_SPREAD_PX2:
        factor = sum((p - middle).conjugate() * (g - goal) for p, g in zip(points, goals, strict=True)) / spread
        factor = _bounded(factor)
    if not math.isfinite(spread):
        middle = complex(0.0, 0.0)
    shift = goal - factor * middle
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def _bounded(factor: complex) -> complex:
    scale = abs(factor)
    if scale < 1 / _MAX_SCALE or scale > _MAX_SCALE:
        return complex(1.0, 0.0)
    return factor


def _shrunk_region(plane: Plane, square: Affine, scale_x: float, scale_y: float) -> tuple[Plane, Affine]:
    """Return the part of the plane that the crop shows, halved as often as needed, and the (2, 3) matrix from it to the crop.

    Args:
        plane: (height, width) grey picture.
        square: (2, 3) similarity from square pixels to the crop.
        scale_x: Factor from pixels of the plane to square pixels, along x.
        scale_y: The same along y.
    """
    height, width = plane.shape
    a, b, tx, ty = square[0, 0], square[1, 0], square[0, 2], square[1, 2]
    scale = math.hypot(a, b)
    half = (FACE_SIZE_PX / 2 + _MARGIN_PX) * (abs(a) + abs(b)) / (scale * scale)
    mid = (FACE_SIZE_PX - 1) / 2
    cx = (a * (mid - tx) + b * (mid - ty)) / (scale * scale)
    cy = (-b * (mid - tx) + a * (mid - ty)) / (scale * scale)
    halve_x, halve_y = _halvings(scale * scale_x, min(width, height)), _halvings(scale * scale_y, min(width, height))
    factor_x, factor_y = 1 << halve_x, 1 << halve_y
    left, columns = _span((cx - half) / scale_x, (cx + half) / scale_x, width, factor_x)
    top, rows = _span((cy - half) / scale_y, (cy + half) / scale_y, height, factor_y)
    region: Plane = plane[top : top + rows, left : left + columns]
    for step in range(1, max(halve_x, halve_y) + 1):
        size = (columns >> min(step, halve_x), rows >> min(step, halve_y))
        region = cast("Plane", cv2.resize(region, size, interpolation=cv2.INTER_AREA))
    # A pixel centre u of the region lies at factor * u + (factor - 1) / 2 + left in the plane.
    ox, oy = (left + (factor_x - 1) / 2) * scale_x, (top + (factor_y - 1) / 2) * scale_y
    step_x, step_y = factor_x * scale_x, factor_y * scale_y
    to_crop = np.array([[a * step_x, -b * step_y, a * ox - b * oy + tx], [b * step_x, a * step_y, b * ox + a * oy + ty]])
    return region, to_crop


def _halvings(scale: float, smaller_side: int) -> int:
    """Return how often to halve a region, so that the warp scales it by 0.67 to 1.33: detail is kept and nothing aliases.

    OpenCV has vector code only for halving: a face of 640 px takes 60 us this way, 560 us by one area resize.
    """
    wanted = math.floor(math.log2(1.0 / (_LEAST_SHRINK * scale))) if scale < 1.0 else 0
    return max(0, min(wanted, smaller_side.bit_length() - 1))


def _span(low: float, high: float, size: int, factor: int) -> tuple[int, int]:
    """Return start and length of a span inside 0..size that covers low..high where possible; the length is a multiple of ``factor``."""
    start = min(max(math.floor(low), 0), size - factor)
    stop = min(max(math.ceil(high) + 1, start + factor), size)
    length = stop - start
    spare = -length % factor
    grown = length + spare
    if start + grown <= size:
        return start, grown
    if stop - grown >= 0:
        return stop - grown, grown
    return start, length - length % factor


def _full_range(crop: Plane, *, limited: bool, bits: int) -> FaceImage:
    if bits == 8 and not limited:
        return crop.astype(np.uint8, copy=False)
    if crop.dtype == np.uint8:
        return np.asarray(cv2.LUT(crop, _limited_table()), dtype=np.uint8)
    unit = 1 << (bits - 8)
    black, white = (16 * unit, 235 * unit) if limited else (0, (1 << bits) - 1)
    stretched = (crop.astype(np.float32) - black) * (255.0 / (white - black))
    return cast("FaceImage", np.clip(np.rint(stretched), 0, 255).astype(np.uint8))


@cache
def _limited_table() -> FaceImage:
    levels = (np.arange(256, dtype=np.float32) - 16) * (255 / 219)
    return cast("FaceImage", np.clip(np.rint(levels), 0, 255).astype(np.uint8))


ALIGNMENTS: Mapping[str, Align] = MappingProxyType({FER2013_5PT: align_with_matrix})
"""Geometries that this version can produce, by id."""
