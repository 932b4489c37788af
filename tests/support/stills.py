"""Results of stills, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferstream.domain.face import Box, Face
from ferstream.stills.analysis import FaceResult


def face_result(**changes: Any) -> FaceResult:
    points = ((30.0, 40.0), (60.0, 40.0), (45.0, 55.0), (33.0, 70.0), (57.0, 70.0))
    values: dict[str, Any] = {
        "crop": np.zeros((48, 48), np.uint8),
        "probabilities": (0.5, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05),
        "face": Face(box=Box(20.04, 20, 50, 60), score=0.91234, landmarks=points),
    }
    return FaceResult(**{**values, **changes})
