from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferstream.detection.detector import Detector
from ferstream.stills.multiscale import find_faces
from tests.support.pictures import portrait


@pytest.mark.parametrize("width", [96, 200, 512, 1500])
def test_one_face_of_any_size_is_found_once_and_in_place(detector: Detector, width: int) -> None:
    picture = cv2.resize(portrait(), (width, width * 600 // 512), interpolation=cv2.INTER_AREA if width < 512 else cv2.INTER_CUBIC)
    faces = find_faces(np.asarray(picture, np.uint8), detector)
    assert len(faces) == 1
    box, scale = faces[0].box, width / 512
    assert abs(box.x + box.w / 2 - 266 * scale) < 20 * scale
    assert abs(box.y + box.h / 2 - 225 * scale) < 25 * scale


def test_a_crowd_and_a_portrait_are_found_in_one_picture(detector: Detector) -> None:
    canvas = np.full((1200, 1600, 3), 128, np.uint8)
    canvas[:600, :512] = portrait()
    small = cv2.resize(portrait(), (102, 120), interpolation=cv2.INTER_AREA)
    for row in range(3):
        for column in range(6):
            canvas[700 + row * 150 : 820 + row * 150, 60 + column * 220 : 162 + column * 220] = small
    assert len(find_faces(canvas, detector)) == 19


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (700, 2), (48, 48)])
def test_odd_sizes_without_a_face_have_none(detector: Detector, shape: tuple[int, int]) -> None:
    assert find_faces(np.full((*shape, 3), 120, np.uint8), detector) == ()
