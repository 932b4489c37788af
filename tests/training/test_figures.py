from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ferstream.training.figures import draw_face_sheet
from tests.support.faces import draw_faces


def test_a_sheet_shows_each_face_with_its_caption(tmp_path: Path) -> None:
    draw_face_sheet(draw_faces(np.arange(7)), [f"face {index}" for index in range(7)], tmp_path / "sheet.png", columns=4, title="seven")

    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None
    assert picture.std() > 5
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_sheet_without_faces_is_a_picture_too(tmp_path: Path) -> None:
    draw_face_sheet(np.zeros((0, 48, 48), np.uint8), [], tmp_path / "sheet.png", columns=10, title="none")

    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
