"""Masks, quality and crops of detected faces: the last step in a detection worker, which keeps no pixels but the crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from ferstream.detection.mask import PrivacyMask
from ferstream.detection.pose import estimate_pose
from ferstream.detection.quality import QualityGate, QualityLimits
from ferstream.domain.emotion import Abstained
from ferstream.domain.face import DetectedFrame, Face, FaceCrop, FaceImage, Thumbnail
from ferstream.domain.frame import Frame, Image
from ferstream.domain.ports import Align

IsUpright = Callable[[Frame, Face], bool]

THUMBNAIL_SIZE = (16, 9)
"""Width and height of the picture by which cuts are found."""
_THINNED_SIZE = (128, 72)
"""Width and height to which the detection image is thinned first: 17 us instead of 260 us for means of all pixels."""


def _believe_landmarks(frame: Frame, face: Face) -> bool:
    return True


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

    def prepare(self, frame: Frame, faces: Sequence[Face], is_upright: IsUpright = _believe_landmarks) -> DetectedFrame:
        """Drop the faces in masks, and cut the crops of the others, in the same order.

        Args:
            frame: The frame.
            faces: Its faces.
            is_upright: Asked about the faces that are neither turned nor small: whether one whose landmarks look upright is upright.
        """
        info = frame.info
        visible = (face for face in faces if not self._mask.covers(face.box, info.width, info.height))
        faces_of_frame = tuple(self._prepared(frame, face, is_upright) for face in visible)
        return DetectedFrame(info=info, faces=faces_of_frame, thumbnail=thumbnail(frame.detection_image))

    def _prepared(self, frame: Frame, face: Face, is_upright: IsUpright) -> FaceCrop:
        width, height = frame.info.width, frame.info.height
        pose = estimate_pose(frame.luma.in_square_pixels(face.landmarks))
        crop = None if self._gate.is_profile(pose) else self._cut(frame, face)
        reason = self._gate.abstain_reason(face, pose, crop, width=width, height=height)
        if reason not in {Abstained.TURNED, Abstained.SMALL} and not is_upright(frame, face):
            reason = Abstained.TURNED
        return FaceCrop(face=face, crop=crop, abstained=reason)

    def _cut(self, frame: Frame, face: Face) -> FaceImage:
        crop, matrix = self._align(frame.luma, face.landmarks)
        return self._mask.apply_to_crop(crop, matrix, frame.info.width, frame.info.height)


def thumbnail(image: Image) -> Thumbnail:
    """Return a picture in 16x9 grey pixels.

    Args:
        image: (h, w, 3) uint8 BGR.

    Returns:
        (9, 16) float32, 0..255: means of the blocks of the picture.
    """
    thinned = cv2.resize(image, _THINNED_SIZE, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(thinned, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.float32)
