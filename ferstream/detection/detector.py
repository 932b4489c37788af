"""The Protocols of face detection: a loaded model, and the detectors that worker threads use.

``ferstream.detection.factory`` lists the detectors that implement them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ferstream.domain.face import Face

Picture = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 BGR, 0..255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorLimits:
    """Which detections are returned as faces.

    Attributes:
        score: Lowest detector confidence, 0..1.
        min_face_px: Smallest shorter side of the (unclipped) box, in pixels of the source.
        max_iou: Highest overlap, 0..1, of a box with a better one; above it, both are the same face.
        top_k: Largest number of candidates per picture, best first.
    """

    score: float = 0.7
    min_face_px: float = 24.0
    max_iou: float = 0.3
    top_k: int = 750


class Detector(Protocol):
    """Finds faces. Each worker thread has one; detectors share nothing mutable."""

    def detect(self, picture: Picture, *, width: int, height: int) -> tuple[Face, ...]:
        """Find the faces of one picture.

        Args:
            picture: (h, w, 3) uint8 BGR, 0..255: the whole source picture, usually at a reduced size; not modified.
            width: Width of the source picture in pixels; results are in its coordinates.
            height: Height of the source picture in pixels.

        Returns:
            Faces by descending score; boxes clipped to the source picture.

        Raises:
            ValueError: ``picture`` is not (h, w, 3) uint8.
            ModelError: The detector is closed, or the device cannot prepare the model for this size.
        """
        ...

    def close(self) -> None:
        """Free the memory of this detector; may be called again."""
        ...


class DetectorModel(Protocol):
    """A loaded face detection model; shared by the worker threads, which call it at the same time."""

    @property
    def name(self) -> str:
        """Name of the model or of its file, for people."""
        ...

    def new_detector(self, limits: DetectorLimits) -> Detector:
        """Make a detector for one worker thread."""
        ...

    def warm_up(self, width: int, height: int) -> None:
        """Prepare for pictures of this size, so that the first frame of a camera does not wait.

        Args:
            width: Width in pixels, a multiple of 32.
            height: Height in pixels, a multiple of 32.

        Raises:
            ModelError: The device cannot run the model.
        """
        ...

    def close(self) -> None:
        """Free the model; may be called again. Detectors are closed by their owners."""
        ...
