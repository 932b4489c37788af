"""Hides faces and masked parts of a picture so that nothing of them is left. One thread.

A face and what is around it become a few large blurred spots: four across twice the width of the face. A mosaic of more cells moves over
the face from picture to picture, and can be averaged back to a face.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.face import Box

Plane = npt.NDArray[np.uint8]

REACH = 1.5
"""Half axes of the hidden ellipse, in those of the box: it contains the corners of the box, hair and chin."""
_CELLS = 4
"""Spots across the hidden part."""
_LEAST_PX = 6


def hide(luma: Plane, chroma: tuple[Plane, Plane], places: Iterable[Box]) -> None:
    """Hide parts of a picture, in place.

    Args:
        luma: (height, width) uint8.
        chroma: Two planes of half the size.
        places: The faces, relative to the picture, 0..1.
    """
    height, width = luma.shape
    for place in places:
        box = Box(place.x * width, place.y * height, place.w * width, place.h * height)
        _hide_in(luma, box)
        for plane in chroma:
            _hide_in(plane, Box(box.x / 2, box.y / 2, box.w / 2, box.h / 2))


def hide_all(luma: Plane, chroma: tuple[Plane, Plane]) -> None:
    """Hide a whole picture, in place: it becomes a few spots."""
    for plane in (luma, *chroma):
        plane[:] = _spots(plane, (_CELLS, _CELLS))


def _hide_in(plane: Plane, box: Box) -> None:
    height, width = plane.shape
    half_w, half_h = max(REACH * box.w / 2, _LEAST_PX), max(REACH * box.h / 2, _LEAST_PX)
    middle_x, middle_y = box.x + box.w / 2, box.y + box.h / 2
    left, right = max(0, int(middle_x - half_w)), min(width, int(np.ceil(middle_x + half_w)))
    top, bottom = max(0, int(middle_y - half_h)), min(height, int(np.ceil(middle_y + half_h)))
    if left >= right or top >= bottom:
        return
    part = plane[top:bottom, left:right]
    inside = np.zeros(part.shape, np.uint8)
    centre, axes = (round(middle_x) - left, round(middle_y) - top), (int(np.ceil(half_w)), int(np.ceil(half_h)))
    cv2.ellipse(inside, centre, axes, 0, 0, 360, 255, -1)
    part[:] = np.where(inside, _spots(part, (min(_CELLS, part.shape[1]), min(_CELLS, part.shape[0]))), part)


def _spots(part: Plane, cells: tuple[int, int]) -> Plane:
    """Return a part of a plane of which only the means of its cells (across, down) are left."""
    means = cv2.resize(np.ascontiguousarray(part), cells, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(means, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_LINEAR), np.uint8)
