"""Find the faces of a still picture at several scales: large faces at a coarse one, small faces at a fine one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ferstream.detection.decode import ALIGN_PX, suppress
from ferstream.detection.detector import Detector
from ferstream.domain.face import Box, Face
from ferstream.stills.pictures import Picture
from ferstream.stills.tiles import faces_in_tile, tiles_of

DETECTION_SIDES_PX = (320, 640, 1280)
"""Longer sides of the detector's input, coarse to fine, for the whole picture. Larger pictures are also examined in tiles."""

_MAX_ENLARGEMENT = 4
_FINER_BONUS = 0.05
_MAX_IOU = 0.3
_LARGER = 4.0
"""A face that has this many times the area of another one hides it, if the smaller one comes from a tile and is mostly inside."""
_MOSTLY_INSIDE = 0.6


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A face that was found at one scale.

    Attributes:
        face: The face.
        rank: Its score, with a bonus for finer scales of the whole picture.
        tiled: Whether it was found in a tile.
    """

    face: Face
    rank: float
    tiled: bool = False


def find_faces(picture: Picture, detector: Detector) -> tuple[Face, ...]:
    """Detect faces at each scale, keep one of several boxes that overlap, and return them with the highest score first.

    Of overlapping boxes the one of the finest scale is kept, unless its score is much lower: YuNet's landmarks follow
    a tilted head only when the face is large in its input (docs/adr/0009-alignment.md).
    """
    found = sorted([*_in_whole(picture, detector), *_in_tiles(picture, detector)], key=lambda candidate: -candidate.rank)
    if not found:
        return ()
    kept = suppress(np.array([_corners(candidate.face.box) for candidate in found], np.float32), _MAX_IOU)
    faces = _without_parts([found[index] for index in kept])
    return tuple(sorted(faces, key=lambda face: -face.score))


def _in_whole(picture: Picture, detector: Detector) -> list[_Candidate]:
    height, width = picture.shape[:2]
    by_scale = [detector.detect(scaled, width=width, height=height) for scaled in _scaled(picture)]
    return [_Candidate(face, face.score + _FINER_BONUS * scale) for scale, faces in enumerate(by_scale) for face in faces]


def _in_tiles(picture: Picture, detector: Detector) -> list[_Candidate]:
    """Return the faces of all tiles. They get the bonus of the finest scale of the whole picture."""
    height, width = picture.shape[:2]
    bonus = _FINER_BONUS * (len(DETECTION_SIDES_PX) - 1)
    faces = (face for tile in tiles_of(width, height) for face in faces_in_tile(picture, tile, detector))
    return [_Candidate(face, face.score + bonus, tiled=True) for face in faces]


def _without_parts(kept: Sequence[_Candidate]) -> list[Face]:
    """Return the faces without what a tile shows inside a much larger face: an eye or a mouth can look like a small face."""
    boxes = np.array([_corners(candidate.face.box) for candidate in kept], np.float32)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    faces = []
    for candidate, box, area in zip(kept, boxes, areas, strict=True):
        common = (np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])).clip(min=0).prod(axis=1)
        if not candidate.tiled or not np.any((common > _MOSTLY_INSIDE * area) & (areas > _LARGER * area)):
            faces.append(candidate.face)
    return faces


def _scaled(picture: Picture) -> list[Picture]:
    """Return the picture at each scale, coarse to fine."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    sides = [side for side in DETECTION_SIDES_PX if side <= longer * _MAX_ENLARGEMENT] or [longer * _MAX_ENLARGEMENT]
    return [_resize(picture, _detection_size(width, height, side)) for side in sides]


def _detection_size(width: int, height: int, side: int) -> tuple[int, int]:
    factor = side / max(width, height)
    return _to_stride(width * factor), _to_stride(height * factor)


def _to_stride(side: float) -> int:
    return max(ALIGN_PX, round(side / ALIGN_PX) * ALIGN_PX)


def _resize(picture: Picture, size: tuple[int, int]) -> Picture:
    shrinks = size[0] < picture.shape[1]
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.w, box.y + box.h
