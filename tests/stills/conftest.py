from __future__ import annotations

import pytest

from ferstream.detection.detector import Detector, DetectorLimits
from ferstream.detection.factory import load_detector


@pytest.fixture(scope="session")
def detector() -> Detector:
    return load_detector().new_detector(DetectorLimits(min_face_px=8))
