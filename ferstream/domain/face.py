"""Faces found in a frame: box, landmarks and aligned crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import Abstained
from ferstream.domain.frame import FrameInfo

FACE_SIZE_PX = 48
"""Height and width of a face crop in pixels, as models are trained on it and take it."""

Point = tuple[float, float]
"""(x, y) in pixels."""
FaceImage = npt.NDArray[np.uint8]
"""(48, 48) uint8 grey face, full range 0..255, in the geometry of the model's alignment."""
Thumbnail = npt.NDArray[np.float32]
"""(9, 16) float32 grey, 0..255."""
Affine = npt.NDArray[np.float64]
"""(2, 3) float64 matrix that maps (x, y, 1) of one picture to (x, y) of another."""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in source pixels, clipped to the picture.

    Attributes:
        x: Left edge.
        y: Top edge.
        w: Width.
        h: Height.
    """

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
        landmarks: Five points in source pixels: right eye, left eye, nose tip, right mouth corner, left mouth corner of the
            subject (the right eye of a subject who faces the camera is on the left of the picture).
    """

    box: Box
    score: float
    landmarks: tuple[Point, Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """A face with its aligned crop.

    Attributes:
        face: The detected face.
        crop: (48, 48) uint8 grey, 0..255; None when the face is turned too far to be cut out and classified.
        abstained: Why the face is labelled ``unknown``: its size, blur or pose; None when they are good. A face with a reason
            may have a crop, which is classified.
    """

    face: Face
    crop: FaceImage | None
    abstained: Abstained | None = None


@dataclass(frozen=True, slots=True)
class DetectedFrame:
    """The faces of one frame; the frame's pixels are not kept.

    Attributes:
        info: Identity and times of the frame.
        faces: The faces by descending score.
        thumbnail: The whole picture in so few pixels that it shows only whether the scene is another one; None if it was not made.
        cut: Whether the picture shows another scene than the frame before, where that is known already; None: compare the thumbnails.
    """

    info: FrameInfo
    faces: tuple[FaceCrop, ...]
    thumbnail: Thumbnail | None = None
    cut: bool | None = None
