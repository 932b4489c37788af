"""Finds faces that lie on their side or stand on their head, though the detector's landmarks look upright.

YuNet fires on such faces when they are large, and puts the eyes where an upright face would have them, so neither the landmarks nor
the score alone tell (docs/adr/0055). A second look does: the surroundings of the face are turned by 90, 180 and 270 degrees, and the
detector is surer of the one that is upright. Only large faces of a moderate score get the second look, because no others were turned.
"""

from __future__ import annotations

import cv2
import numpy as np

from ferstream.detection.detector import Detector, Picture
from ferstream.domain.face import Box, Face
from ferstream.domain.frame import Frame

TILE_PX = 96
"""Width and height of the turned surroundings, as the detector sees them."""
CHECK_SIZE = (3 * TILE_PX, TILE_PX)
"""(width, height) in pixels of the picture for the second look: three turned copies side by side."""
_CONTEXT = 2.0
"""Side of the surroundings, relative to the longer side of the face's box."""
_SURE_SCORE = 0.92
"""Faces with this score are upright: no turned face of the shared clips has more than 0.915."""
_SMALLEST_PX = 48
"""Longer side of a box in the detection image below which the detector finds no turned faces."""
_OFF_CENTRE = 0.2
"""Largest distance of a face from the middle of its copy, relative to the copy's side."""
_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


class UprightCheck:
    """Looks at doubtful faces a second time. One detection worker, with its own detector."""

    def __init__(self, detector: Detector) -> None:
        """Keep the detector; its owner closes it."""
        self._detector = detector

    def is_upright(self, frame: Frame, face: Face) -> bool:
        """Return False for a face that the detector finds more surely when it is turned by 90, 180 or 270 degrees.

        Args:
            frame: The frame, its detection image already masked.
            face: A face that was found in it, in source pixels.
        """
        image, info = frame.detection_image, frame.info
        scale_x, scale_y = image.shape[1] / info.width, image.shape[0] / info.height
        box = Box(face.box.x * scale_x, face.box.y * scale_y, face.box.w * scale_x, face.box.h * scale_y)
        longer = max(box.w, box.h)
        if face.score >= _SURE_SCORE or longer < _SMALLEST_PX:
            return True
        around = _surroundings(image, box)
        copies = np.hstack([cv2.rotate(around, turn) for turn in _TURNS]).astype(np.uint8, copy=False)
        # The size in source pixels, because that is what the detector compares with its smallest face.
        source_px = _CONTEXT * longer / min(scale_x, scale_y)
        width, height = round(len(_TURNS) * source_px), round(source_px)
        found = self._detector.detect(copies, width=width, height=height)
        return not any(other.score > face.score and _is_central(other.box, height) for other in found)


def _is_central(box: Box, side: float) -> bool:
    """Return whether a box lies in the middle of one of the copies, which have a side of ``side``."""
    x, y = (box.x + box.w / 2) % side - side / 2, box.y + box.h / 2 - side / 2
    return max(abs(x), abs(y)) < _OFF_CENTRE * side


def _surroundings(image: Picture, box: Box) -> Picture:
    """Return the square around a box, (TILE_PX, TILE_PX, 3) uint8; outside the picture its edge is repeated."""
    height, width = image.shape[:2]
    side = _CONTEXT * max(box.w, box.h)
    left, top = round(box.x + box.w / 2 - side / 2), round(box.y + box.h / 2 - side / 2)
    right, bottom = left + round(side), top + round(side)
    inside = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    edges = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    square = cv2.copyMakeBorder(inside, *edges, cv2.BORDER_REPLICATE) if any(edges) else inside
    shrinks = side > TILE_PX
    return cv2.resize(square, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)  # type: ignore[return-value]
