from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.training.evaluation.answers import Answers
from ferstream.training.evaluation.error_gallery import draw_most_confused, most_confused
from ferstream.training.evaluation.evaluate import Evaluation
from ferstream.training.evaluation.scores import score
from tests.support.face_sets import make_faces


@pytest.fixture
def result() -> Evaluation:
    """Three faces: the first is answered wrong at 0.5, the second wrong at 0.7, the third right."""
    faces = make_faces(0, 3)
    probabilities = np.full((3, 7), 0.05, np.float32)
    probabilities[[0, 1, 2], [1, 2, 2]] = (0.5, 0.7, 0.7)
    scores = score(probabilities, faces.labels)
    answers = Answers(faces=faces, probabilities=probabilities, mirrored=probabilities)
    return Evaluation(
        faces=faces, truth=faces.labels, probabilities=probabilities, scores=scores, unseen=scores, without_majority=0, answers=answers
    )


def test_wrong_answers_are_ordered_by_probability(result: Evaluation) -> None:
    assert most_confused(result).tolist() == [1, 0]
    assert most_confused(result, 1).tolist() == [1]


def test_the_wrong_answers_are_drawn(result: Evaluation, tmp_path: Path) -> None:
    draw_most_confused(result, tmp_path / "most_confused.png", title="three faces")

    picture = cv2.imread(str(tmp_path / "most_confused.png"))
    assert picture is not None
    assert picture.std() > 5
