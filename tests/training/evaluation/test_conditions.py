from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ferstream.detection.quality import QualityGate, QualityLimits
from ferstream.domain.emotion import LABELS
from ferstream.training.data import conditions as drawn
from ferstream.training.data.targets import majority
from ferstream.training.evaluation.condition_plot import draw_condition_curves
from ferstream.training.evaluation.conditions import CONDITIONS, Condition, ConditionScore, evaluate_conditions
from tests.support.fer2013 import public_test
from tests.support.pictures import portrait_crop

BY_NAME = {condition.name: condition for condition in CONDITIONS}
CLEAN, MASK, SIZE = BY_NAME["clean"], BY_NAME["mask"], BY_NAME["size"]


def always(label: int, confidence: float) -> Callable[[np.ndarray], np.ndarray]:
    def classify(crops: np.ndarray) -> np.ndarray:
        rows = np.full((len(crops), len(LABELS)), (1 - confidence) / (len(LABELS) - 1), np.float32)
        rows[:, label] = confidence
        return rows

    return classify


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Four crops of one face, with truths 0, 0, 0, 1 in the tests."""
    crop = portrait_crop()
    return np.stack([crop, crop[:, ::-1], drawn.light(crop, gain=0.8), drawn.defocus(crop, 0.4)])


TRUTH = np.array([0, 0, 0, 1])


def test_the_faces_as_they_are_are_labelled_and_scored(faces: np.ndarray) -> None:
    (score,) = evaluate_conditions(always(0, 0.9), faces, TRUTH, conditions=[CLEAN])

    assert (score.rows, score.labelled, score.coverage, score.abstained) == (4, 4, 1.0, {})
    assert score.accuracy == 0.75
    assert score.balanced_accuracy == 0.5
    assert score.wrong_and_sure == 25.0


@pytest.mark.parametrize("confidence", [0.8, 0.5])
def test_a_wrong_answer_without_confidence_is_not_sure(confidence: float, faces: np.ndarray) -> None:
    (score,) = evaluate_conditions(always(0, confidence), faces, TRUTH, conditions=[CLEAN])
    assert score.wrong_and_sure == 0


def test_a_refused_face_is_neither_right_nor_wrong(faces: np.ndarray) -> None:
    (score,) = evaluate_conditions(always(1, 0.99), faces, TRUTH, conditions=[MASK])

    assert score.labelled == 0
    assert score.abstained == {"occluded": 4}
    assert score.as_json()["accuracy"] is None
    assert score.wrong_and_sure == 0


def test_without_the_check_of_what_a_crop_shows_masked_faces_are_labelled(faces: np.ndarray) -> None:
    limits = QualityLimits(check_visibility=False)
    (score,) = evaluate_conditions(always(1, 0.99), faces, TRUTH, conditions=[MASK], limits=limits)
    assert score.labelled == 4 and score.wrong_and_sure == 75.0


def test_a_face_below_the_smallest_size_is_small(faces: np.ndarray) -> None:
    scores = evaluate_conditions(always(0, 0.9), faces, TRUTH, conditions=[SIZE])
    assert [score.abstained.get("small", 0) for score in scores] == [0, 0, 0, 4, 4, 4]


def test_a_probability_below_the_limit_is_low_confidence(faces: np.ndarray) -> None:
    (score,) = evaluate_conditions(always(0, 0.6), faces, TRUTH, conditions=[CLEAN], min_confidence=0.7)
    assert score.abstained == {"low_confidence": 4}


def test_equal_seeds_show_the_classifier_equal_faces(faces: np.ndarray) -> None:
    def seen(seed: int) -> bytes:
        shown: list[np.ndarray] = []

        def classify(crops: np.ndarray) -> np.ndarray:
            shown.append(crops.copy())
            return always(0, 0.9)(crops)

        evaluate_conditions(classify, faces, TRUTH, conditions=[MASK, BY_NAME["motion"], BY_NAME["noise"]], seed=seed)
        return np.concatenate(shown).tobytes()

    assert seen(3) == seen(3)
    assert seen(3) != seen(4)


def test_every_condition_gets_stronger_and_draws_uint8_crops(faces: np.ndarray) -> None:
    assert len({condition.name for condition in CONDITIONS}) == len(CONDITIONS)
    for condition in CONDITIONS:
        crops = [condition.draw(faces[0], strength, np.random.default_rng(0)) for strength in condition.strengths]
        assert all(crop.shape == (48, 48) and crop.dtype == np.uint8 for crop in crops)
        if condition.unit:
            errors = [np.abs(crop.astype(int) - faces[0]).mean() for crop in crops]
            assert errors[-1] > errors[0]


def test_scores_are_json_and_a_figure(tmp_path: Path, faces: np.ndarray) -> None:
    named = [CLEAN, MASK, Condition("bright", "grey levels added", (40, 80), BY_NAME["bright"].draw)]
    scores = evaluate_conditions(always(0, 0.9), faces, TRUTH, conditions=named)

    assert len(json.loads(json.dumps([score.as_json() for score in scores], allow_nan=False))) == 4
    draw_condition_curves(scores, tmp_path / "curves.png", title="a model")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def public_scores(shared_dir: Path) -> dict[tuple[str, float], ConditionScore]:
    """Coverage of every fifth clear face of PublicTest under the conditions that made 1.0.0 wrong and sure."""
    faces = public_test(shared_dir)
    assert faces.votes is not None
    truth = majority(faces.votes)
    rows = np.flatnonzero(truth >= 0)[::5]
    named = [CLEAN, MASK, BY_NAME["hand"], BY_NAME["sunglasses"], Condition("motion", "px", (4, 8), BY_NAME["motion"].draw)]
    scores = evaluate_conditions(always(0, 0.9), faces.pixels[rows], truth[rows], conditions=named, seed=5)
    return {(score.condition, score.strength): score for score in scores}


def test_at_most_two_percent_of_clear_faces_are_refused(public_scores: dict[tuple[str, float], ConditionScore]) -> None:
    assert public_scores["clean", 1].coverage >= 0.98


def test_covered_and_moved_faces_are_refused(public_scores: dict[tuple[str, float], ConditionScore]) -> None:
    most = {("mask", 1): 0.05, ("hand", 1): 0.07, ("sunglasses", 1): 0.15, ("motion", 4): 0.8, ("motion", 8): 0.2}
    for case, coverage in most.items():
        assert public_scores[case].coverage <= coverage, case


def test_the_limits_can_be_moved(faces: np.ndarray) -> None:
    strict = QualityGate(QualityLimits(max_covered=0.0, max_moved=1.0, max_dark=1.0))
    assert str(strict.crop_reason(faces[0])) == "occluded"
