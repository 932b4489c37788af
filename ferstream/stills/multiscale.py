"""Find the faces of a still picture at several scales: large faces at a coarse one, small faces at a fine one."""

from __future__ import annotations

import cv2
import numpy as np

from ferstream.detection.decode import ALIGN_PX, suppress
from ferstream.detection.detector import Detector
from ferstream.domain.face import Box, Face
from ferstream.stills.pictures import Picture

DETECTION_SIDES_PX = (320, 640, 1280)
"""Longer sides of the detector's input, coarse to fine."""

_MAX_ENLARGEMENT = 4
_FINER_BONUS = 0.05
_MAX_IOU = 0.3


def find_faces(picture: Picture, detector: Detector) -> tuple[Face, ...]:
    """Detect faces at each scale, keep one of several boxes that overlap, and return them with the highest score first.

    Of overlapping boxes the one of the finest scale is kept, unless its score is much lower: YuNet's landmarks follow
    a tilted head only when the face is large in its input (docs/adr/0009-alignment.md).
    """
    height, width = picture.shape[:2]
    by_scale = [detector.detect(scaled, width=width, height=height) for scaled in _scaled(picture)]
    ranked = [(face.score + _FINER_BONUS * scale, face) for scale, faces in enumerate(by_scale) for face in faces]
    ranked.sort(key=lambda pair: -pair[0])
    if not ranked:
        return ()
    kept = suppress(np.array([_corners(face.box) for _, face in ranked], np.float32), _MAX_IOU)
    return tuple(sorted((ranked[index][1] for index in kept), key=lambda face: -face.score))


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
