"""Quality of a face: whether its pose, its size and what its crop shows are good enough for a label.

docs/adr/0020 has the limits of pose, size and sharpness and the pictures they were measured on, docs/adr/0064 those of
movement, covered faces and darkness. Pure functions and immutable values.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ferstream.detection.pose import Pose
from ferstream.detection.visibility import FAULTS, load_visibility
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import FACE_SIZE_PX, Face, FaceImage

_NOISE_GREY = 5.0
"""Grey levels added to the contrast, so that there is no division by zero for a crop of one grey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """Limits of a face that is labelled; beyond them it is ``unknown``.

    Attributes:
        max_yaw: Largest yaw to either side, in degrees.
        max_pitch: Largest pitch up or down, in degrees.
        max_roll: Largest roll to either side, in degrees. The alignment undoes it, but a face that lies on its side is
            beyond what the detector's landmarks and the classifier were trained on.
        min_face_px: Smallest shorter side of the box, in pixels of the source.
        min_size_px: Smallest ``Pose.size_px``, in pixels of the source.
        min_sharpness: Lowest ``sharpness`` of the crop.
        profile_yaw: Yaw in degrees above which no crop is cut: the landmarks of a profile are too close together for an alignment.
        max_moved: Highest probability, 0..1, that the face moved during the exposure.
        max_covered: Highest probability, 0..1, that mouth or eyes are covered, or that the crop shows no face.
        max_dark: Highest probability, 0..1, that the crop is too dark, too flat or too grainy.
        check_visibility: Whether these three are checked.
    """

    max_yaw: float = 38.0
    max_pitch: float = 25.0
    max_roll: float = 60.0
    min_face_px: float = 24.0
    min_size_px: float = 8.0
    min_sharpness: float = 0.24
    profile_yaw: float = 60.0
    max_moved: float = 0.65
    max_covered: float = 0.88
    max_dark: float = 0.15
    check_visibility: bool = True


class QualityGate:
    """Checks faces against quality limits. Immutable; any thread."""

    def __init__(self, limits: QualityLimits | None = None) -> None:
        """Keep the limits; None for the defaults.

        Raises:
            ModelError: The weights of the network that looks for covered faces are missing.
        """
        self._limits = limits or QualityLimits()
        self._visibility = load_visibility() if self._limits.check_visibility else None
        self._most = (self._limits.max_moved, self._limits.max_covered, self._limits.max_dark)

    def abstain_reason(self, face: Face, pose: Pose, crop: FaceImage | None, *, width: int, height: int) -> Abstained | None:
        """Return why a face is labelled ``unknown``, or None; turned comes before small, and small before what the crop shows.

        Args:
            face: The face, in pixels of the source.
            pose: Its pose, from ``estimate_pose`` in square pixels.
            crop: Its crop, (48, 48) uint8, or None if it was not cut.
            width: Width of the source picture in pixels.
            height: Height of the source picture in pixels.
        """
        if self.is_turned(pose) or not _all_inside(face, width, height):
            return Abstained.TURNED
        if self._is_small(face, pose):
            return Abstained.SMALL
        return None if crop is None else self.crop_reason(crop)

    def crop_reason(self, crop: FaceImage) -> Abstained | None:
        """Return why the face of a crop (48, 48) uint8 is labelled ``unknown``, or None: blurred, occluded or dark.

        If there are several reasons, it is the one that is furthest above its limit.
        """
        if sharpness(crop) < self._limits.min_sharpness:
            return Abstained.BLURRED
        if self._visibility is None:
            return None
        found = zip(self._visibility.faults(crop), self._most, FAULTS, strict=True)
        excess, fault = max((value - most, fault) for value, most, fault in found)
        return Abstained(fault) if excess > 0 else None

    def is_profile(self, pose: Pose) -> bool:
        """Return whether the face is turned too far for a crop."""
        return abs(pose.yaw) > self._limits.profile_yaw

    def is_turned(self, pose: Pose) -> bool:
        """Return whether the face is turned too far for a label."""
        limits = self._limits
        return abs(pose.yaw) > limits.max_yaw or abs(pose.pitch) > limits.max_pitch or abs(pose.roll) > limits.max_roll

    def _is_small(self, face: Face, pose: Pose) -> bool:
        return min(face.box.w, face.box.h) < self._limits.min_face_px or pose.size_px < self._limits.min_size_px


def sharpness(crop: FaceImage) -> float:
    """Return the amount of fine detail of the inner face relative to its contrast.

    The standard deviation of the Laplacian (after Pech-Pacheco et al., ICPR 2000, who use its variance) divided by
    that of the grey values. Both are measured inside an ellipse from the brows to the chin, so that an edge of hair
    against a bright wall does not count; the division removes the effect of the light.

    Args:
        crop: (48, 48) uint8 in the canonical geometry.

    Returns:
        0 for a crop of one grey, about 0.2 for a blurred face, 0.3 to 1.3 for sharp faces; the median of FER2013 is 1.05.
    """
    _, detail = cv2.meanStdDev(cv2.Laplacian(crop, cv2.CV_16S), mask=_INNER_FACE)
    _, contrast = cv2.meanStdDev(crop, mask=_INNER_FACE)
    return float(detail[0, 0]) / (float(contrast[0, 0]) + _NOISE_GREY)


def _all_inside(face: Face, width: int, height: int) -> bool:
    return all(0 <= x <= width and 0 <= y <= height for x, y in face.landmarks)


def _ellipse() -> FaceImage:
    rows, columns = np.mgrid[:FACE_SIZE_PX, :FACE_SIZE_PX]
    inside = ((columns - 24) / 13) ** 2 + ((rows - 26) / 15) ** 2 <= 1
    return np.asarray(inside, np.uint8)


_INNER_FACE = _ellipse()
