"""From detected faces to crops: the last step in a detection worker, after which the pixels are gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ferstream.detection.mask import PrivacyMask
from ferstream.detection.pose import estimate_pose
from ferstream.detection.quality import QualityGate, QualityLimits
from ferstream.domain.face import DetectedFrame, Face, FaceCrop, Point
from ferstream.domain.frame import Frame, Luma

Crop = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]


class Align(Protocol):
    """Cuts a face out of the grey picture in the canonical geometry of the model."""

    def __call__(self, luma: Luma, landmarks: Sequence[Point]) -> tuple[Crop, Matrix]:
        """Return the crop (48, 48) uint8 and the (2, 3) map from source pixels to crop pixels."""
        ...


class FacePreparer:
    """Judges each face and cuts its crop; immutable, for any thread."""

    def __init__(self, *, align: Align, limits: QualityLimits | None = None, mask: PrivacyMask | None = None) -> None:
        """Take the parts.

        Args:
            align: Cuts a crop.
            limits: When to abstain.
            mask: The privacy masks of the camera.
        """
        self._align = align
        self._gate = QualityGate(limits)
        self._mask = mask or PrivacyMask()

    def paint(self, frame: Frame) -> None:
        """Paint the privacy masks on the small picture, in place, before it is looked at."""
        self._mask.paint(frame.detection_image)

    def prepare(self, frame: Frame, faces: Sequence[Face]) -> DetectedFrame:
        """Drop the faces in masks, judge the others and cut their crops; the order is kept."""
        info = frame.info
        seen = (face for face in faces if not self._mask.covers(face.box, info.width, info.height))
        return DetectedFrame(info=info, faces=tuple(self._prepared(frame, face) for face in seen))

    def _prepared(self, frame: Frame, face: Face) -> FaceCrop:
        width, height = frame.info.width, frame.info.height
        pose = estimate_pose(face.landmarks)
        crop = None if self._gate.is_hopeless(pose) else self._cut(frame, face)
        return FaceCrop(face=face, crop=crop, abstained=self._gate.judge(face, pose, crop, width=width, height=height))

    def _cut(self, frame: Frame, face: Face) -> Crop:
        crop, matrix = self._align(frame.luma, face.landmarks)
        return self._mask.paint_crop(crop, matrix, frame.info.width, frame.info.height)
