"""The metrics that a bundle's manifest records: scores on a split, and the cost per face."""

from __future__ import annotations

from typing import Any

from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import Bundle
from ferstream.training.data.dataset import FaceSet
from ferstream.training.evaluation.answers import answer
from ferstream.training.evaluation.evaluate import TRUTHS, evaluate_answers
from ferstream.training.evaluation.timing import cost


def bundle_metrics(bundle: Bundle, faces: FaceSet, usage: str) -> dict[str, Any]:
    """Measure a bundle as OpenVINO serves it.

    Args:
        bundle: The bundle, or a draft of it.
        faces: All splits.
        usage: The split to score.

    Returns:
        For each kind of true class (``fer2013``, and ``ferplus`` where there are votes) its scores; what needs no true
        class (``all rows``): mirror consistency, original labels, shares of votes; and the cost per face.
    """
    classifier = open_classifier(bundle, backend="openvino")
    metrics: dict[str, Any] = {}
    try:
        answers = answer(classifier.classify, faces, usage)
        metrics[f"{usage}, all rows"] = answers.as_json()
        for truth in TRUTHS[:1] if faces.votes is None else TRUTHS:
            numbers = evaluate_answers(answers, faces, usage=usage, truth=truth).as_json()
            metrics[f"{usage}, {truth}"] = {key: value for key, value in numbers.items() if isinstance(value, int | float)}
    finally:
        classifier.close()
    return metrics | cost(bundle)
