"""A face finder that also reports what the usual one is not sure of or does not see: hiding faces needs more than analysing them.

A frame is looked at twice more: with a low limit, and larger, so that small faces are found. One detection worker.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ferstream.detection.detector import Detector, Picture
from ferstream.domain.face import DetectedFrame, Face
from ferstream.domain.frame import Frame, FrameInfo, Luma, detection_size

LOW_SCORE = 0.3
"""Score of the detector from which on something is hidden: profiles, hats and half covered faces have less than 0.7."""
SMALLEST_PX = 6.0
"""Shorter side in source pixels from which on a face is hidden."""
LARGE_PX = 1280
"""Longer side of the larger picture in which small faces are found; small sources are enlarged to it."""

OnDetected = Callable[[FrameInfo, tuple[Face, ...]], None]


class LowScoreFinder:
    """Finds the faces of frames as the usual finder does, and reports all that may be one."""

    def __init__(self, *, finder: Callable[[Frame], DetectedFrame], detector: Detector, on_detected: OnDetected) -> None:
        """Keep the parts.

        Args:
            finder: The usual finder, whose faces are analysed.
            detector: Returns faces of low scores too.
            on_detected: Takes everything that was found in a frame; called by the detection thread before the frame is passed on.
        """
        self._finder, self._detector, self._on_detected = finder, detector, on_detected

    def __call__(self, frame: Frame) -> DetectedFrame:
        """Find the faces of one frame, and report all that may be one."""
        detected, info = self._finder(frame), frame.info
        pictures = (frame.detection_image, large_picture(frame.luma))
        unsure = (face for picture in pictures for face in self._detector.detect(picture, width=info.width, height=info.height))
        self._on_detected(info, (*(face.face for face in detected.faces), *unsure))
        return detected


def large_picture(luma: Luma) -> Picture:
    """Return the grey picture at ``LARGE_PX``, (h, w, 3) uint8, 0..255, with square pixels and sides that the detector takes."""
    height, width = luma.plane.shape
    enlarge = max(1, -(-LARGE_PX // max(width, height)))
    size = detection_size(width * enlarge, height * enlarge, LARGE_PX, luma.pixel_aspect)
    small = cv2.resize(np.ascontiguousarray(luma.plane), size, interpolation=cv2.INTER_AREA if enlarge == 1 else cv2.INTER_CUBIC)
    expand, black = (255 / 219, 16) if luma.limited else (1.0, 0)
    grey = cv2.convertScaleAbs(np.maximum(small, black << (luma.bits - 8)), alpha=expand / (1 << (luma.bits - 8)), beta=-black * expand)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
