"""Where the labels of faces go in a drawing: next to their face, and never over another label. Pure geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_GAP = 1.0
_STEPS = 24
"""Distances at which a place for a label is looked for around its face."""
_DIRECTIONS = 16

_Rectangles = npt.NDArray[np.float64]
"""(n, 4) float64: left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the drawing; y grows downwards.

    Attributes:
        left: In pixels of the drawing, as the others.
        top: Upper edge.
        width: At least 0.
        height: At least 0.
    """

    left: float
    top: float
    width: float
    height: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def place_labels(faces: Sequence[Area], sizes: Sequence[tuple[float, float]], inside: Area, *, far: bool) -> list[Area | None]:
    """Return a place for each label that no other label overlaps; None where there is none.

    Args:
        faces: The boxes of the faces.
        sizes: Width and height of each label.
        inside: The labels are placed inside this area.
        far: False: only places that touch the face of the label and cover no other face. True: other places too, if there is no such.
    """
    boxes = _rectangles(faces)
    placed: list[Area | None] = []
    for index, (face, size) in enumerate(zip(faces, sizes, strict=True)):
        others = np.delete(boxes, index, axis=0)
        taken = _rectangles([area for area in placed if area is not None])
        placed.append(_place(face, size, inside, taken=taken, faces=others, far=far))
    return placed


def _place(face: Area, size: tuple[float, float], inside: Area, *, taken: _Rectangles, faces: _Rectangles, far: bool) -> Area | None:
    near = [place for place in _touching(face, size) if _contains(inside, place)]
    free = (place for place in near if not _overlaps(place, taken) and not _overlaps(place, faces))
    found = next(free, None)
    if found is not None or not far:
        return found
    return next((place for place in _around(face, size, inside) if not _overlaps(place, taken)), None)


def _touching(face: Area, size: tuple[float, float]) -> Iterator[Area]:
    """Yield the places at the edges of a face, best first: above, below, inside at the top, at the sides."""
    width, height = size
    left, top, right, bottom = face.corners
    spots = [
        (left, top - height - _GAP),
        (right - width, top - height - _GAP),
        (left, bottom + _GAP),
        (right - width, bottom + _GAP),
        (right + _GAP, top),
        (left - width - _GAP, top),
        (right + _GAP, bottom - height),
        (left - width - _GAP, bottom - height),
    ]
    if width < 0.9 * face.width and height < 0.3 * face.height:
        spots.insert(2, (left, top))
    yield from (Area(x, y, width, height) for x, y in spots)


def _around(face: Area, size: tuple[float, float], inside: Area) -> Iterator[Area]:
    """Yield places on growing rings around a face, moved into ``inside``."""
    width, height = size
    middle_x, middle_y = face.left + face.width / 2, face.top + face.height / 2
    for step in range(_STEPS):
        away = step * height
        for direction in range(_DIRECTIONS):
            angle = 2 * math.pi * direction / _DIRECTIONS - math.pi / 2
            x = middle_x + (face.width / 2 + width / 2 + _GAP + away) * math.cos(angle) - width / 2
            y = middle_y + (face.height / 2 + height / 2 + _GAP + away) * math.sin(angle) - height / 2
            yield Area(_into(x, inside.left, inside.width - width), _into(y, inside.top, inside.height - height), width, height)


def _into(value: float, start: float, room: float) -> float:
    return min(max(value, start), start + max(room, 0.0))


def _contains(outer: Area, inner: Area) -> bool:
    left, top, right, bottom = inner.corners
    return left >= outer.left and top >= outer.top and right <= outer.left + outer.width and bottom <= outer.top + outer.height


def _overlaps(place: Area, others: _Rectangles) -> bool:
    left, top, right, bottom = place.corners
    return bool(np.any((others[:, 0] < right) & (others[:, 2] > left) & (others[:, 1] < bottom) & (others[:, 3] > top)))


def _rectangles(areas: Sequence[Area]) -> _Rectangles:
    return np.array([area.corners for area in areas], np.float64).reshape(-1, 4)
