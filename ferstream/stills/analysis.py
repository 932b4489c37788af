"""Classify the faces of still pictures, with the daemon's detector, alignment, limits and classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.detection.detector import Detector
from ferstream.detection.mask import PrivacyMask
from ferstream.detection.prepare import FacePreparer
from ferstream.detection.quality import QualityGate
from ferstream.detection.upright import UprightCheck
from ferstream.domain.emotion import LABELS, UNKNOWN, Abstained
from ferstream.domain.face import FACE_SIZE_PX, Face
from ferstream.domain.frame import Frame, FrameInfo, Luma
from ferstream.inference.alignment import ALIGNMENTS
from ferstream.inference.classifier import Classifier
from ferstream.stills.multiscale import find_faces
from ferstream.stills.pictures import MAX_PIXELS, Picture, read_picture

Crop = npt.NDArray[np.uint8]
"""(48, 48) uint8 grey."""


@dataclass(frozen=True, slots=True)
class FaceResult:
    """One face of a still.

    Attributes:
        crop: (48, 48) uint8, what was classified; None for a face that is turned too far to be cropped.
        probabilities: Seven, in ``LABELS`` order; None without a crop.
        face: The detection; None where the whole picture was used as the face.
        abstained: The reason for which the daemon would label the face ``unknown``; None where it would not.
    """

    crop: Crop | None
    probabilities: tuple[float, ...] | None
    face: Face | None = None
    abstained: Abstained | None = None

    @property
    def best(self) -> str:
        """The label with the highest probability; ``unknown`` without probabilities."""
        return UNKNOWN if self.probabilities is None else LABELS[int(np.argmax(self.probabilities))]

    @property
    def label(self) -> str:
        """The label that the daemon would publish: ``best``, or ``unknown`` where it abstains."""
        return UNKNOWN if self.abstained else self.best

    @property
    def reason(self) -> str:
        """Why the label is ``unknown``, and what it would be otherwise: ``turned; would be neutral 0.64``; empty if it is not."""
        if self.abstained is None:
            return ""
        return self.abstained.value if self.probabilities is None else f"{self.abstained.value}; would be {self.best} {self.confidence:.2f}"

    @property
    def confidence(self) -> float:
        """The highest probability, 0..1; 0 without probabilities."""
        return 0.0 if self.probabilities is None else max(self.probabilities)


@dataclass(frozen=True, slots=True)
class PictureResult:
    """The faces of one still.

    Attributes:
        path: File of the picture.
        picture: (h, w, 3) uint8 BGR, upright.
        faces: From left to right, by the middle of their boxes.
    """

    path: Path
    picture: Picture
    faces: tuple[FaceResult, ...]


class PictureAnalyzer:
    """Finds and classifies the faces of still pictures. Not thread-safe, as the detector is not."""

    def __init__(
        self, *, detector: Detector | None, classifier: Classifier, max_pixels: int = MAX_PIXELS, mask: PrivacyMask | None = None
    ) -> None:
        """Keep the networks; the caller closes them.

        Args:
            detector: Finds the faces. None: each picture is one face crop.
            classifier: Classifies the crops.
            max_pixels: Width times height of the largest picture.
            mask: Parts of every picture that are filled with grey before it is analysed; None for no masks.
        """
        self._mask = mask or PrivacyMask()
        self._max_pixels = max_pixels
        self._detector = detector
        self._classifier = classifier
        self._preparer = FacePreparer(align=ALIGNMENTS[classifier.alignment_id], mask=self._mask)
        self._gate = QualityGate()

    def analyze(self, path: Path) -> PictureResult:
        """Read a picture, find its faces and classify them.

        Raises:
            SourceError: The picture cannot be read.
            ModelError: A network failed.
        """
        picture = read_picture(path, max_pixels=self._max_pixels)
        return PictureResult(path=path, picture=picture, faces=self.faces_of(picture))

    def faces_of(self, picture: Picture) -> tuple[FaceResult, ...]:
        """Find the faces of a decoded picture and classify them; faces are in order from left to right.

        Args:
            picture: (h, w, 3) uint8 BGR, upright; not modified.

        Raises:
            ModelError: A network failed.
        """
        if self._mask:
            picture = picture.copy()
            self._mask.apply(picture)
        return self._classify_whole(picture) if self._detector is None else self._classify_found(picture, self._detector)

    def _classify_whole(self, picture: Picture) -> tuple[FaceResult, ...]:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        shrinks = min(grey.shape) > FACE_SIZE_PX
        crop = cv2.resize(grey, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        face = np.asarray(crop, np.uint8)
        return self._classify([(None, face, self._gate.crop_reason(face))])

    def _classify_found(self, picture: Picture, detector: Detector) -> tuple[FaceResult, ...]:
        faces = sorted(find_faces(picture, detector), key=_from_left)
        prepared = self._preparer.prepare(_as_frame(picture), faces, UprightCheck(detector).is_upright).faces
        return self._classify([(face.face, face.crop, face.abstained) for face in prepared])

    def _classify(self, faces: Sequence[tuple[Face | None, Crop | None, Abstained | None]]) -> tuple[FaceResult, ...]:
        crops = [crop for _, crop, _ in faces if crop is not None]
        rows = iter(self._classifier.classify(np.stack(crops)).tolist() if crops else [])
        return tuple(
            FaceResult(crop=crop, probabilities=None if crop is None else tuple(next(rows)), face=face, abstained=abstained)
            for face, crop, abstained in faces
        )


def _from_left(face: Face) -> tuple[float, float]:
    return face.box.x + face.box.w / 2, face.box.y


def _as_frame(picture: Picture) -> Frame:
    height, width = picture.shape[:2]
    info = FrameInfo(camera="still", index=0, media_time_ns=0, captured_ns=0, captured_at_ns=0, width=width, height=height, live=False)
    luma = Luma(plane=np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), limited=False)
    return Frame(info=info, luma=luma, detection_image=picture)
