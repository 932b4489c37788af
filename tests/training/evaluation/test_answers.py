"""What is measured on all faces of a split, with a majority and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.training.evaluation.answers import Answers, answer
from tests.support.face_sets import make_faces


def probabilities(classes: np.ndarray, confidence: float = 0.7) -> np.ndarray:
    rows = np.full((len(classes), 7), (1 - confidence) / 6, np.float32)
    rows[np.arange(len(classes)), classes] = confidence
    return rows


def test_mirror_consistency_is_the_share_of_equal_labels() -> None:
    faces = make_faces(0, 10)
    other = faces.labels.copy()
    other[:3] = (other[:3] + 1) % 7
    answers = Answers(faces, probabilities(faces.labels), probabilities(other))
    assert answers.mirror_consistency == pytest.approx(0.7)
    assert answers.as_json()["mirror_consistency"] == pytest.approx(0.7)


def test_the_classifier_gets_each_face_and_its_mirror_image() -> None:
    faces = make_faces(7, 7)
    seen: list[np.ndarray] = []

    def classify(crops: np.ndarray) -> np.ndarray:
        seen.append(crops.copy())
        return probabilities(np.zeros(len(crops), np.int64))

    answer(classify, faces, "PublicTest")

    assert np.array_equal(seen[0], faces.pixels[7:])
    assert np.array_equal(seen[1], faces.pixels[7:, :, ::-1])


def test_the_shares_of_the_votes_are_the_truth_of_all_faces() -> None:
    """Eight faces: half of the votes say happy, half sad. Happy at 0.5 is honest, happy at 0.9 is 0.4 too sure."""
    faces = make_faces(0, 8)
    votes = np.zeros((8, 10), np.int64)
    votes[:, [1, 3]] = 5
    happy = np.full(8, LABELS.index("happy"))
    split = replace(faces, votes=votes)

    honest = Answers(split, probabilities(happy, 0.5), probabilities(happy, 0.5)).vote_scores()
    sure = Answers(split, probabilities(happy, 0.9), probabilities(happy, 0.9)).vote_scores()

    assert honest is not None
    assert sure is not None
    assert honest.rows == 8
    assert honest.agreement == pytest.approx(0.5)
    assert honest.bins.error == pytest.approx(0.0, abs=1e-6)
    assert sure.bins.error == pytest.approx(0.4, abs=1e-6)
    assert sure.loss > honest.loss


def test_faces_in_which_most_voters_saw_something_else_are_left_out() -> None:
    faces = make_faces(0, 2)
    votes = np.zeros((2, 10), np.int64)
    votes[0, [1, 9]] = (4, 6)  # six of ten saw no face
    votes[1, 1] = 10
    scores = Answers(replace(faces, votes=votes), probabilities(faces.labels), probabilities(faces.labels)).vote_scores()
    assert scores is not None
    assert scores.rows == 1


def test_without_votes_the_labels_and_the_mirror_are_left() -> None:
    faces = make_faces(0, 7, votes=False)
    numbers = Answers(faces, probabilities(faces.labels), probabilities(faces.labels)).as_json()
    assert set(numbers) == {"rows", "mirror_consistency", "label_accuracy", "label_balanced_accuracy"}
    assert numbers["label_accuracy"] == 1.0
