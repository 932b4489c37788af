from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.training.evaluation.calibration import fit_temperature, log_loss, reliability


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def drawn(scale: float, faces: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are calibrated at temperature ``scale``, and labels drawn from their softmax."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (faces, 7))
    labels = np.array([random.choice(7, p=row) for row in softmax(logits)], np.int64)
    return logits * scale, labels


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(scale: float) -> None:
    logits, labels = drawn(scale)

    found = fit_temperature(logits, labels)

    assert found == pytest.approx(scale, rel=0.08)
    assert reliability(softmax(logits / found), labels).error < 0.03
    if scale != 1.0:
        assert reliability(softmax(logits), labels).error > 0.05


def test_the_error_is_the_difference_of_confidence_and_accuracy() -> None:
    probabilities = np.tile(np.array([0.9, 0.1, 0, 0, 0, 0, 0]), (100, 1))
    labels = np.array([0] * 60 + [1] * 40, np.int64)

    bins = reliability(probabilities, labels)

    assert bins.error == pytest.approx(0.3)
    assert bins.share.sum() == pytest.approx(1.0)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_error_and_temperature_stay_in_range(seed: int, faces: int) -> None:
    random = np.random.default_rng(seed)
    logits, labels = random.normal(0, 5, (faces, 7)), random.integers(0, 7, faces)

    assert 0.0 <= reliability(softmax(logits), labels).error <= 1.0
    assert 0.2 <= fit_temperature(logits, labels) <= 5.0


def test_the_log_loss_is_the_negative_log_of_the_true_class() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.05, 0.05, 0.05, 0.05, 0.05]]))

    assert log_loss(logits, np.array([1])) == pytest.approx(np.log(4))
