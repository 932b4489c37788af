from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.evaluate import evaluate
from tests.support.face_sets import make_faces


def knows(faces: FaceSet, *, wrong: tuple[int, ...] = ()) -> Callable[[np.ndarray], np.ndarray]:
    """A classifier that answers every face of ``faces`` right, except those of ``wrong`` rows: these get the next class."""
    answers = {face.tobytes(): int(label) for face, label in zip(faces.pixels, faces.labels, strict=True)}
    for index in wrong:
        answers[faces.pixels[index].tobytes()] = (int(faces.labels[index]) + 1) % len(LABELS)

    answers |= {np.frombuffer(face, np.uint8).reshape(48, 48)[:, ::-1].tobytes(): answer for face, answer in answers.items()}

    def classify(crops: np.ndarray) -> np.ndarray:
        rows = np.full((len(crops), len(LABELS)), 0.02, np.float32)
        rows[np.arange(len(crops)), [answers[crop.tobytes()] for crop in crops]] = 0.88
        return rows

    return classify


def test_right_and_wrong_answers_are_counted_by_class() -> None:
    faces = make_faces(14, 14)

    result = evaluate(knows(faces, wrong=(14, 15)), faces, usage="PublicTest")

    numbers = result.as_json()
    assert numbers["rows"] == 14
    assert numbers["accuracy"] == pytest.approx(12 / 14, abs=1e-6)
    assert numbers["per_class"]["angry"] == {"rows": 2, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(0.666667)}
    assert numbers["per_class"]["disgust"]["precision"] == 0.5
    assert np.array(numbers["confusion"]).sum() == 14


def test_the_json_has_the_documented_keys() -> None:
    faces = make_faces(7, 7)

    numbers = evaluate(knows(faces), faces, usage="PublicTest").as_json()

    assert {"rows", "loss", "accuracy", "accuracy_dedup", "balanced_accuracy", "macro_f1", "ece", "per_class"} <= set(numbers)
    assert json.loads(json.dumps(numbers)) == numbers


def test_faces_also_in_training_are_left_out_of_the_dedup_scores() -> None:
    faces = make_faces(14, 7)
    faces.pixels[14] = faces.pixels[0]

    numbers = evaluate(knows(faces, wrong=(20,)), faces, usage="PublicTest").as_json()

    assert (numbers["rows"], numbers["rows_dedup"]) == (7, 6)
    assert numbers["accuracy_dedup"] == pytest.approx(5 / 6, abs=1e-6)


@pytest.mark.parametrize(("training", "usage"), [(0, "PublicTest"), (7, "Training")])
def test_without_training_rows_to_compare_with_the_dedup_scores_are_null(training: int, usage: str) -> None:
    faces = make_faces(training, 7)

    numbers = evaluate(knows(faces), faces, usage=usage).as_json()

    dedup = {key: value for key, value in numbers.items() if key.endswith("_dedup")}
    assert dedup == dict.fromkeys([f"{key}_dedup" for key in ("rows", "loss", "accuracy", "balanced_accuracy", "macro_f1", "ece")])
    assert numbers["accuracy"] == 1.0


def test_ferplus_scores_only_rows_with_a_majority() -> None:
    faces = make_faces(7, 7)
    assert faces.votes is not None
    votes = faces.votes.copy()
    votes[7] = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]
    votes[8] = [0, 9, 0, 0, 0, 0, 0, 0, 0, 1]

    result = evaluate(knows(faces), replace(faces, votes=votes), usage="PublicTest", truth="ferplus")

    assert result.without_majority == 1
    assert result.truth.tolist() == [LABELS.index("happy"), 2, 3, 4, 5, 6]
    assert result.scores.accuracy == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("usage", "truth", "votes", "says"),
    [
        ("PrivateTest", "fer2013", True, "the split PrivateTest is empty"),
        ("PublicTest", "ferplus", False, "give --votes"),
        ("PublicTest", "mine", True, "choose one of fer2013, ferplus"),
    ],
)
def test_a_split_or_truth_that_is_missing_is_an_error(usage: str, truth: str, votes: bool, says: str) -> None:
    faces = make_faces(7, 7, votes=votes)

    with pytest.raises(DataError, match=says):
        evaluate(knows(faces), faces, usage=usage, truth=truth)


def test_a_split_without_any_majority_is_an_error() -> None:
    faces = make_faces(7, 7)
    assert faces.votes is not None

    with pytest.raises(DataError, match="no row of PublicTest has a FER"):
        evaluate(knows(faces), replace(faces, votes=np.ones_like(faces.votes)), usage="PublicTest", truth="ferplus")
