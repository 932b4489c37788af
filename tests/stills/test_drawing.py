from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.domain.emotion import Abstained
from ferstream.stills.analysis import PictureResult
from ferstream.stills.drawing import draw
from tests.support.stills import face_result


@pytest.mark.parametrize(("count", "shape"), [(0, (90, 120)), (1, (600, 60)), (2, (40, 900)), (5, (90, 120)), (30, (40, 900))])
def test_any_number_of_faces_in_any_shape_is_drawn(tmp_path: Path, count: int, shape: tuple[int, int]) -> None:
    faces = tuple(face_result(abstained=Abstained.SMALL if index % 3 else None) for index in range(count))
    result = PictureResult(path=Path("x.jpg"), picture=np.full((*shape, 3), 99, np.uint8), faces=faces)
    picture = cv2.imread(str(draw(result, tmp_path / "x.png")))
    assert picture is not None
    assert min(picture.shape[:2]) > 100
    assert max(picture.shape[:2]) < 4000
