"""How a head is turned, from its five landmarks alone.

The head is a stiff set of five points seen from far away (scaled orthography, the usual assumption
for small faces; DeMenthon and Davis, "Model-based object pose in 25 lines of code", IJCV 15, 1995).
With the nose tip in front of the plane of eyes and mouth, its shift across the face grows with the
sine of the yaw while the widths of eyes and mouth shrink with the cosine, and the arctangent of
their ratio is the yaw. It stays steady when both eyes fall on one spot, where methods that measure
along the line of the eyes break down: the axis here runs from the eyes to the mouth. Thresholds
and what they were measured on: docs/adr/0020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ferstream.domain.face import Point

EYES_MM = 63.0
"""Between the pupils of an adult (mean of both sexes; Dodgson, 2004)."""
MOUTH_MM = 50.0
"""Between the corners of a resting mouth."""
EYES_TO_MOUTH_MM = 68.0
NOSE_BELOW_EYES_MM = 38.0
NOSE_AHEAD_MM = 32.0
"""Nose tip in front of the pupils."""
MOUTH_AHEAD_MM = 6.0
"""Mouth corners in front of the pupils."""
_NOSE_AHEAD_OF_AXIS_MM = NOSE_AHEAD_MM - MOUTH_AHEAD_MM * NOSE_BELOW_EYES_MM / EYES_TO_MOUTH_MM
"""Nose tip in front of the line from between the eyes to the middle of the mouth."""
_NO_LENGTH_PX = 1e-6


@dataclass(frozen=True, slots=True)
class Pose:
    """How a head is turned, in degrees, and how large it is.

    Attributes:
        yaw: -180..180; positive when the face looks to the right in the picture, beyond 90 when the eyes have changed sides.
        pitch: -90..90; positive when it looks down.
        roll: -180..180; positive when it leans clockwise in the picture.
        size_px: The larger of the distances between the eyes and from eyes to mouth, in pixels; a turned face keeps one of them.
    """

    yaw: float
    pitch: float
    roll: float
    size_px: float


def estimate_pose(landmarks: Sequence[Point]) -> Pose:
    """Estimate the pose of a face.

    Args:
        landmarks: Five points in pixels: right eye, left eye, nose tip, right and left mouth corner of the subject.

    Returns:
        The pose; points that collapse between eyes and mouth count as fully turned (yaw 90).
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = (complex(x, y) for x, y in landmarks)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    length = abs(mouth - eyes)
    between_eyes = abs(left_eye - right_eye)
    if length < _NO_LENGTH_PX:
        return Pose(90.0, 0.0, 0.0, between_eyes)
    # Multiplying by the conjugate turns the face upright: then real is across it, imaginary down it.
    upright = (1j * (mouth - eyes).conjugate()) / length
    nose_at = (nose - eyes) * upright
    width = ((left_eye - right_eye) * upright).real / EYES_MM + ((left_mouth - right_mouth) * upright).real / MOUTH_MM
    yaw = math.degrees(math.atan2(nose_at.real / _NOSE_AHEAD_OF_AXIS_MM, width / 2))
    down = mouth - eyes
    roll = math.degrees(math.atan2(-down.real, down.imag))
    return Pose(yaw, _pitch(nose_at.imag / length), roll, max(between_eyes, length))


def _pitch(nose_share: float) -> float:
    """Pitch in degrees from where the nose lies between eyes (0) and mouth (1).

    Turned by p about the axis of the eyes, nose and mouth lie at ``h cos p + d sin p`` below them, for
    a height h and a depth d each; setting the ratio of the two to ``nose_share`` gives the tangent.
    """
    across = NOSE_AHEAD_MM - nose_share * MOUTH_AHEAD_MM
    pitch = math.degrees(math.atan2(nose_share * EYES_TO_MOUTH_MM - NOSE_BELOW_EYES_MM, across))
    return max(-90.0, min(90.0, pitch))
