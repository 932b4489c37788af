from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ferstream.training.evaluation.calibration import reliability
from ferstream.training.evaluation.plots import draw_confusion_matrix, draw_reliability


def assert_drawn(path: Path) -> None:
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.std() > 5


def test_a_confusion_matrix_is_drawn(tmp_path: Path) -> None:
    draw_confusion_matrix(np.eye(7, dtype=np.int64) * 9, tmp_path / "confusion.png", title="drawn")

    assert_drawn(tmp_path / "confusion.png")


def test_a_reliability_diagram_is_drawn(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bins = reliability(random.dirichlet(np.ones(7), 50), random.integers(0, 7, 50))

    draw_reliability(bins, tmp_path / "reliability.png", title="drawn")

    assert_drawn(tmp_path / "reliability.png")
