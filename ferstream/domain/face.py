"""A face found in a frame: where it is, how it is turned, and its crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import Abstained
from ferstream.domain.frame import FrameInfo

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in source pixels, clipped to the picture: left, top, width, height."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face.

    Attributes:
        box: Rectangle in source pixels.
        score: Detector confidence, 0..1.
        landmarks: Five points in source pixels: the subject's right eye, left eye, nose tip, right
            mouth corner, left mouth corner (right of the subject = left in the picture).
    """

    box: Box
    score: float
    landmarks: tuple[Point, Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """A face with its aligned crop, ready to be classified.

    Attributes:
        face: The detection.
        crop: (48, 48) uint8 grey, full range 0..255, in the canonical geometry; None when it will not be classified.
        abstained: Set when size, blur or pose forbid a verdict; a crop may still be classified then.
    """

    face: Face
    crop: npt.NDArray[np.uint8] | None
    abstained: Abstained | None = None


@dataclass(frozen=True, slots=True)
class DetectedFrame:
    """All faces of one frame, sorted by descending score; the pixels of the frame are gone."""

    info: FrameInfo
    faces: tuple[FaceCrop, ...]
