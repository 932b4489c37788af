"""The shipped models reach the goals of their cards on FER2013's PublicTest, as OpenVINO serves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.answers import answer
from ferstream.training.evaluation.evaluate import evaluate_answers
from tests.support.fer2013 import public_test

MODELS = {
    # model: lowest accuracy and balanced accuracy on the FER+ majority, lowest mirror consistency
    "emotion-edge": (0.885, 0.82, 0.945),
    "emotion-small": (0.88, 0.79, 0.92),
    "emotion-edge-int8": (0.88, 0.81, 0.945),
    "emotion-small-int8": (0.875, 0.78, 0.91),
    "emotion-large": (0.895, 0.78, 0.99),
}


@pytest.fixture(scope="module")
def faces(shared_dir: Path) -> FaceSet:
    return public_test(shared_dir)


@pytest.mark.parametrize("model", [*list(MODELS)[:-1], pytest.param("emotion-large", marks=pytest.mark.slow)])
def test_a_shipped_model_reaches_its_goals(model: str, faces: FaceSet, root_dir: Path) -> None:
    """The numbers are those of the cards; their margins leave room for another CPU's precision."""
    accuracy, balanced, consistency = MODELS[model]
    classifier = open_classifier(load_bundle(model, [root_dir / "models"]), backend="openvino")
    try:
        answers = answer(classifier.classify, faces, "PublicTest")
    finally:
        classifier.close()
    majority = evaluate_answers(answers, faces, usage="PublicTest", truth="ferplus").scores
    votes = answers.vote_scores()
    assert votes is not None
    assert majority.accuracy >= accuracy
    assert majority.as_json()["balanced_accuracy"] >= balanced
    assert majority.ece <= 0.035
    assert votes.bins.error <= 0.08
    assert answers.mirror_consistency >= consistency


@pytest.mark.parametrize("name", ["edge", "small"])
def test_eight_bits_are_within_half_a_point(name: str, root_dir: Path) -> None:
    """As the manifests record it: both forms were measured on the same faces when they were made."""
    bundles = [load_bundle(f"emotion-{name}{form}", [root_dir / "models"]) for form in ("", "-int8")]
    plain, int8 = (bundle.manifest.metrics["PublicTest, ferplus"]["accuracy"] for bundle in bundles)
    assert abs(plain - int8) <= 0.005
