"""Faces from whole photos: found and cut as the daemon does, for training and evaluation on people's own pictures."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.detection.detector import DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.detection.pose import estimate_pose
from ferstream.detection.quality import QualityGate
from ferstream.domain.frame import Luma
from ferstream.errors import SourceError
from ferstream.inference.alignment import align
from ferstream.stills.multiscale import find_faces
from ferstream.stills.pictures import read_picture


class PhotoReader:
    """Cuts the largest face of each photo. Use it as a context; one thread.

    A label of a folder belongs to one person, who is taken to be the one nearest to the camera. A photo without a face, or whose
    largest face is turned so far that the daemon would not cut it, has no crop.

    Attributes:
        without_face: The photos in which no such face was found.
    """

    def __init__(self, *, score: float = 0.7, min_face_px: float = 24.0) -> None:
        """Load the detector.

        Args:
            score: Lowest detector confidence, 0..1.
            min_face_px: Smallest shorter side of a face in pixels of the photo.
        """
        self.without_face: list[str] = []
        self._model = load_detector()
        self._detector = self._model.new_detector(DetectorLimits(score=score, min_face_px=min_face_px))
        self._gate = QualityGate()

    def __enter__(self) -> PhotoReader:
        """Return the reader."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Free the detector."""
        self._detector.close()
        self._model.close()

    def __call__(self, path: Path) -> npt.NDArray[np.uint8] | None:
        """Return the aligned crop (48, 48) uint8 of the largest face; None without a face, or if the photo cannot be decoded."""
        try:
            photo = read_picture(path)
        except SourceError:
            return None
        faces = find_faces(photo, self._detector)
        largest = max(faces, key=lambda face: face.box.w * face.box.h, default=None)
        if largest is None or self._gate.is_profile(estimate_pose(largest.landmarks)):
            self.without_face.append(str(path))
            return None
        grey = np.asarray(cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY), np.uint8)
        return align(Luma(plane=grey, limited=False), largest.landmarks)
