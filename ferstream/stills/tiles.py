"""Tiles of a large picture at finer scales than one input of the detector has, so that small faces are found in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.detection.detector import Detector
from ferstream.domain.face import Box, Face

TILE_PX = 1280
"""Side of a tile in pixels of its scale."""
OVERLAP_PX = 192
"""Pixels that two tiles have in common."""
MAX_FACE_PX = 160
"""Largest face taken from a tile, in pixels of its scale. It is whole in one tile at least; larger ones are found at coarser scales."""
_LEAST_GAIN = 1.5
"""A scale is used if the picture is this much larger in it than a tile."""
_AT_BORDER_PX = 1.0

_Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture.

    Attributes:
        x: Left edge in pixels of the picture.
        y: Top edge.
        width: Width in pixels of the picture, a multiple of ``shrink``.
        height: Height.
        shrink: The tile is examined at one ``shrink``-th of its size.
    """

    x: int
    y: int
    width: int
    height: int
    shrink: int


def tiles_of(width: int, height: int) -> Iterator[Tile]:
    """Yield the tiles of a picture of ``width`` x ``height`` pixels, coarse scales first; none for a picture up to 1919 pixels."""
    for shrink in _shrinks(max(width, height)):
        for y, tile_height in _spans(height // shrink):
            for x, tile_width in _spans(width // shrink):
                yield Tile(x * shrink, y * shrink, tile_width * shrink, tile_height * shrink, shrink)


def faces_in_tile(picture: _Picture, tile: Tile, detector: Detector) -> Iterator[Face]:
    """Yield the faces of a tile in pixels of the picture, without large ones and those that an inner border cuts.

    Args:
        picture: (h, w, 3) uint8 BGR, the whole picture.
        tile: The part to examine.
        detector: Finds the faces.
    """
    pixels = picture[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
    if tile.shrink > 1:
        size = (tile.width // tile.shrink, tile.height // tile.shrink)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = picture.shape[:2]
    for face in detector.detect(pixels, width=tile.width, height=tile.height):
        if max(face.box.w, face.box.h) <= MAX_FACE_PX * tile.shrink and not _is_cut(face.box, tile, width, height):
            yield _shifted(face, tile.x, tile.y)


def _shrinks(longer: int) -> list[int]:
    """Return by how much the picture is shrunk at each scale, coarse to fine: ..., 4, 2, 1."""
    shrinks: list[int] = []
    while longer >= TILE_PX * _LEAST_GAIN * (1 << len(shrinks)):
        shrinks.append(1 << len(shrinks))
    return shrinks[::-1]


def _spans(length: int) -> list[tuple[int, int]]:
    """Return start and length of overlapping spans that cover 0..length; all have the same length, so that one network serves them."""
    if length <= TILE_PX:
        return [(0, max(1, length))]
    count = -(-(length - OVERLAP_PX) // (TILE_PX - OVERLAP_PX))
    return [(round(index * (length - TILE_PX) / (count - 1)), TILE_PX) for index in range(count)]


def _is_cut(box: Box, tile: Tile, width: int, height: int) -> bool:
    """Whether a box, in pixels of the tile, ends at a border of the tile that is not one of the picture."""
    margin = _AT_BORDER_PX * tile.shrink
    return (
        (tile.x > 0 and box.x <= margin)
        or (tile.y > 0 and box.y <= margin)
        or (tile.x + tile.width + tile.shrink <= width and box.x + box.w >= tile.width - margin)
        or (tile.y + tile.height + tile.shrink <= height and box.y + box.h >= tile.height - margin)
    )


def _shifted(face: Face, x: int, y: int) -> Face:
    right_eye, left_eye, nose, right_mouth, left_mouth = ((px + x, py + y) for px, py in face.landmarks)
    box = Box(face.box.x + x, face.box.y + y, face.box.w, face.box.h)
    return Face(box=box, score=face.score, landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth))
