"""Head pose from the five landmarks of a face. Pure functions.

The head is modelled as five rigid points under scaled orthographic projection, the usual assumption for small
faces (DeMenthon and Davis, "Model-based object pose in 25 lines of code", IJCV 15, 1995). The nose tip lies in
front of the plane of eyes and mouth: its shift across the face grows with the sine of the yaw, and the distances
between the eyes and between the corners of the mouth shrink with the cosine, so the arctangent of their ratio is
the yaw. The axis of the face is the line from the eyes to the mouth, so the result stays stable in profile, where
both eyes fall on one point and methods that use the line between the eyes fail. docs/adr/0020 has the limits and
the pictures they were measured on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ferstream.domain.face import Point

EYES_MM = 63.0
"""Distance between the pupils of an adult (mean of both sexes; Dodgson, 2004)."""
MOUTH_MM = 50.0
"""Distance between the corners of a relaxed mouth."""
EYES_TO_MOUTH_MM = 68.0
NOSE_BELOW_EYES_MM = 38.0
NOSE_AHEAD_MM = 32.0
"""Distance of the nose tip in front of the plane of the pupils."""
MOUTH_AHEAD_MM = 6.0
"""Distance of the corners of the mouth in front of the plane of the pupils."""
_NOSE_AHEAD_OF_AXIS_MM = NOSE_AHEAD_MM - MOUTH_AHEAD_MM * NOSE_BELOW_EYES_MM / EYES_TO_MOUTH_MM
"""Distance of the nose tip in front of the line from the middle of the eyes to the middle of the mouth."""
_NO_LENGTH_PX = 1e-6


@dataclass(frozen=True, slots=True)
class Pose:
    """Rotation of a head, and its size.

    Attributes:
        yaw: Degrees, -180..180; positive when the face looks to the right of the picture, beyond 90 when the eyes have changed sides.
        pitch: Degrees, -90..90; positive when the face looks down.
        roll: Degrees, -180..180; positive when the head is rotated clockwise in the picture.
        size_px: The larger of two distances in pixels: between the eyes, and from the eyes to the mouth. A rotation shortens at
            most one of them much.
    """

    yaw: float
    pitch: float
    roll: float
    size_px: float


def estimate_pose(landmarks: Sequence[Point]) -> Pose:
    """Estimate the pose of a face.

    Args:
        landmarks: Five points in pixels, in the order of ``Face.landmarks``.

    Returns:
        The pose; a yaw of 90 if the eyes and the mouth fall on one point.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = (complex(x, y) for x, y in landmarks)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    length = abs(mouth - eyes)
    between_eyes = abs(left_eye - right_eye)
    if length < _NO_LENGTH_PX:
        return Pose(90.0, 0.0, 0.0, between_eyes)
    # Multiplication by the conjugate rotates the face upright: the real part is across it, the imaginary part down it.
    upright = (1j * (mouth - eyes).conjugate()) / length
    nose_at = (nose - eyes) * upright
    width = ((left_eye - right_eye) * upright).real / EYES_MM + ((left_mouth - right_mouth) * upright).real / MOUTH_MM
    yaw = math.degrees(math.atan2(nose_at.real / _NOSE_AHEAD_OF_AXIS_MM, width / 2))
    down = mouth - eyes
    roll = math.degrees(math.atan2(-down.real, down.imag))
    return Pose(yaw, _pitch(nose_at.imag / length), roll, max(between_eyes, length))


def _pitch(nose_share: float) -> float:
    """Return the pitch in degrees from the place of the nose between the eyes (0) and the mouth (1).

    After a rotation by p about the line of the eyes, a point at height h and depth d lies ``h cos p + d sin p`` below them.
    The ratio of that of the nose to that of the mouth is ``nose_share``, which gives the tangent of p.
    """
    across = NOSE_AHEAD_MM - nose_share * MOUTH_AHEAD_MM
    pitch = math.degrees(math.atan2(nose_share * EYES_TO_MOUTH_MM - NOSE_BELOW_EYES_MM, across))
    return max(-90.0, min(90.0, pitch))
