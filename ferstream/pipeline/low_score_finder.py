"""A face finder that also reports what the detector is not sure of: hiding faces in a picture needs more than analysing them.

The faces that it returns are those of ``FaceFinder``, because the best boxes are kept first and the others are left out afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

from ferstream.detection.detector import Detector
from ferstream.detection.prepare import FacePreparer
from ferstream.detection.upright import UprightCheck
from ferstream.domain.face import DetectedFrame, Face
from ferstream.domain.frame import Frame, FrameInfo

LOW_SCORE = 0.3
"""Score of the detector from which on something is hidden: profiles, hats and half covered faces have less than 0.7."""

OnDetected = Callable[[FrameInfo, tuple[Face, ...]], None]


class LowScoreFinder:
    """Finds the faces of frames for one detection worker, and reports those of low scores too."""

    def __init__(
        self, *, detector: Detector, usual: Detector, preparer: Callable[[str], FacePreparer], score: float, on_detected: OnDetected
    ) -> None:
        """Keep the parts.

        Args:
            detector: Returns faces of low scores too.
            usual: The detector of ``FaceFinder``, for the second look at doubtful faces.
            preparer: Returns the preparer of a camera, given by its name.
            score: Lowest score of the faces that are analysed.
            on_detected: Takes everything that was found in a frame; called by the detection thread before the frame is passed on.
        """
        self._detector, self._preparer, self._score, self._on_detected = detector, preparer, score, on_detected
        self._upright = UprightCheck(usual)

    def __call__(self, frame: Frame) -> DetectedFrame:
        """Find the faces of one frame and cut them from its full-size grey plane."""
        info = frame.info
        preparer = self._preparer(info.camera)
        preparer.apply_masks(frame)
        found = self._detector.detect(frame.detection_image, width=info.width, height=info.height)
        self._on_detected(info, found)
        sure = [face for face in found if face.score >= self._score]
        return preparer.prepare(frame, sure, self._upright.is_upright)
