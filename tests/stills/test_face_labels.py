"""The labels of a drawing: as large as there is room for, and never over each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ferstream.domain.face import Box, Face
from ferstream.stills.analysis import FaceResult
from ferstream.stills.face_labels import add_labels
from tests.support.stills import face_result


def labelled(faces: list[FaceResult], side: int) -> tuple[list[str], list[Any]]:
    """Draw a square picture of ``side`` pixels with its labels; return their texts and their extents in pixels of the drawing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), dpi=100)
    canvas: Any = FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.zeros((side, side, 3), np.uint8))
    axes.set_axis_off()
    add_labels(axes, canvas.get_renderer(), [(str(index + 1), face, "#1f77b4") for index, face in enumerate(faces)])
    canvas.draw()
    extents = [text.get_bbox_patch().get_window_extent(canvas.get_renderer()) for text in axes.texts]
    return [text.get_text() for text in axes.texts], extents


def crowd(columns: int, rows: int, side: int, face_px: float) -> list[FaceResult]:
    points = ((1.0, 1.0),) * 5
    step_x, step_y = side / columns, side / rows
    boxes = [Box(step_x * column, step_y * row, face_px, face_px * 1.2) for row in range(rows) for column in range(columns)]
    return [face_result(face=Face(box=box, score=0.9, landmarks=points)) for box in boxes]


@pytest.mark.parametrize(("columns", "rows", "face_px"), [(1, 1, 100), (3, 3, 60), (8, 8, 40), (14, 14, 30), (20, 6, 28), (4, 4, 150)])
def test_every_face_has_a_label_and_no_label_covers_another(columns: int, rows: int, face_px: float) -> None:
    texts, extents = labelled(crowd(columns, rows, 600, face_px), 600)
    assert sorted(int(text.split()[0]) for text in texts) == list(range(1, columns * rows + 1))
    for index, extent in enumerate(extents):
        assert extent.x0 >= -1 and extent.y0 >= -1 and extent.x1 <= 601 and extent.y1 <= 601
        for other in extents[:index]:
            assert min(extent.x1, other.x1) - max(extent.x0, other.x0) < 0.5 or min(extent.y1, other.y1) - max(extent.y0, other.y0) < 0.5


def test_a_few_faces_have_their_expression_beside_the_number() -> None:
    texts, _ = labelled(crowd(2, 2, 600, 100), 600)
    assert texts == ["1 angry", "2 angry", "3 angry", "4 angry"]


def test_a_crowd_without_room_for_words_has_numbers() -> None:
    texts, _ = labelled(crowd(18, 18, 600, 28), 600)
    assert all(text.isdigit() for text in texts)
