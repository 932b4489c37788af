"""Whether a face is shown well enough to be judged, and why not.

The limits and the pictures they were measured on are in docs/adr/0020.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.detection.pose import Pose
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import Face

Crop = npt.NDArray[np.uint8]

_CROP_PX = 48
_NOISE_GREY = 5.0
"""Grey levels added to the contrast, so that a flat crop is not divided by nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """When to abstain.

    Attributes:
        max_yaw: Degrees to either side.
        max_pitch: Degrees up or down.
        min_face_px: Least shorter side of the box, in pixels of the source.
        min_size_px: Least distance between the eyes, or from eyes to mouth, whichever is longer, in pixels of the source.
        min_sharpness: Least ``sharpness`` of the crop.
        hopeless_yaw: Degrees beyond which a face is not even cut out: its landmarks fall together, and the crop shows an ear.
    """

    max_yaw: float = 38.0
    max_pitch: float = 25.0
    min_face_px: float = 24.0
    min_size_px: float = 8.0
    min_sharpness: float = 0.24
    hopeless_yaw: float = 60.0


class QualityGate:
    """Judges faces by their landmarks and crops; immutable, for any thread."""

    def __init__(self, limits: QualityLimits | None = None) -> None:
        """Take the limits, or the measured ones."""
        self._limits = limits or QualityLimits()

    def judge(self, face: Face, pose: Pose, crop: Crop | None, *, width: int, height: int) -> Abstained | None:
        """Say why a face must not be labelled, or None: turned before small before blurred.

        Args:
            face: The face, in pixels of the source.
            pose: Its pose, of ``estimate_pose``.
            crop: (48, 48) uint8, or None if it was not cut.
            width: Width of the source picture in pixels.
            height: Height of the source picture in pixels.
        """
        if self._is_turned(pose) or not _all_inside(face, width, height):
            return Abstained.TURNED
        if self._is_small(face, pose):
            return Abstained.SMALL
        if crop is not None and sharpness(crop) < self._limits.min_sharpness:
            return Abstained.BLURRED
        return None

    def is_hopeless(self, pose: Pose) -> bool:
        """Whether a crop of this face would show no face."""
        return abs(pose.yaw) > self._limits.hopeless_yaw

    def _is_small(self, face: Face, pose: Pose) -> bool:
        return min(face.box.w, face.box.h) < self._limits.min_face_px or pose.size_px < self._limits.min_size_px

    def _is_turned(self, pose: Pose) -> bool:
        return abs(pose.yaw) > self._limits.max_yaw or abs(pose.pitch) > self._limits.max_pitch


def sharpness(crop: Crop) -> float:
    """Measure how much fine detail the inner face has for its contrast.

    The standard deviation of the Laplacian (after Pech-Pacheco et al., ICPR 2000, who take its
    variance) over that of the grey values, both inside an ellipse from the brows to the chin, so
    that neither the light nor a hard edge of hair against a bright wall counts as sharp.

    Args:
        crop: (48, 48) uint8 in the canonical geometry.

    Returns:
        0 for a flat crop, about 0.2 for a smear, 0.3 to 1.3 for faces; the median of FER2013 is 1.05.
    """
    _, detail = cv2.meanStdDev(cv2.Laplacian(crop, cv2.CV_16S), mask=_INNER_FACE)
    _, contrast = cv2.meanStdDev(crop, mask=_INNER_FACE)
    return float(detail[0, 0]) / (float(contrast[0, 0]) + _NOISE_GREY)


def _all_inside(face: Face, width: int, height: int) -> bool:
    return all(0 <= x <= width and 0 <= y <= height for x, y in face.landmarks)


def _ellipse() -> Crop:
    rows, columns = np.mgrid[:_CROP_PX, :_CROP_PX]
    inside = ((columns - 24) / 13) ** 2 + ((rows - 26) / 15) ** 2 <= 1
    return np.asarray(inside, np.uint8)


_INNER_FACE = _ellipse()
