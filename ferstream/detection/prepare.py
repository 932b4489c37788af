"""Masks, quality and crops of detected faces: the last step in a detection worker, which keeps no pixels but the crops."""

from __future__ import annotations

from collections.abc import Sequence

from ferstream.detection.mask import PrivacyMask
from ferstream.detection.pose import estimate_pose
from ferstream.detection.quality import QualityGate, QualityLimits
from ferstream.domain.face import DetectedFrame, Face, FaceCrop, FaceImage
from ferstream.domain.frame import Frame
from ferstream.domain.ports import Align


class FacePreparer:
    """Applies the masks of one camera, checks the quality of its faces and cuts their crops. Immutable; any thread."""

    def __init__(self, *, align: Align, limits: QualityLimits | None = None, mask: PrivacyMask | None = None) -> None:
        """Keep the parts.

        Args:
            align: Cuts a crop in the geometry of the model.
            limits: When a face is labelled ``unknown``; None for the defaults.
            mask: The privacy masks of the camera; None for no masks.
        """
        self._align = align
        self._gate = QualityGate(limits)
        self._mask = mask or PrivacyMask()

    def apply_masks(self, frame: Frame) -> None:
        """Fill the privacy masks in the detection image, in place; call it before detection."""
        self._mask.apply(frame.detection_image)

    def prepare(self, frame: Frame, faces: Sequence[Face]) -> DetectedFrame:
        """Drop the faces in masks, and cut the crops of the others, in the same order."""
        info = frame.info
        visible = (face for face in faces if not self._mask.covers(face.box, info.width, info.height))
        return DetectedFrame(info=info, faces=tuple(self._prepared(frame, face) for face in visible))

    def _prepared(self, frame: Frame, face: Face) -> FaceCrop:
        width, height = frame.info.width, frame.info.height
        pose = estimate_pose(face.landmarks)
        crop = None if self._gate.is_profile(pose) else self._cut(frame, face)
        return FaceCrop(face=face, crop=crop, abstained=self._gate.abstain_reason(face, pose, crop, width=width, height=height))

    def _cut(self, frame: Frame, face: Face) -> FaceImage:
        crop, matrix = self._align(frame.luma, face.landmarks)
        return self._mask.apply_to_crop(crop, matrix, frame.info.width, frame.info.height)
