from __future__ import annotations

import pytest

from ferstream.detection.detector import Detector
from ferstream.detection.weights import find_weights
from ferstream.detection.yunet import Limits, YuNetModel


@pytest.fixture(scope="session")
def detector() -> Detector:
    return YuNetModel(weights=find_weights()).new_detector(Limits(min_face_px=8))
