from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.training.evaluation.scores import score


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 50))
def test_scores_agree_with_counting_by_hand(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(7), count).astype(np.float32)
    truth = random.integers(0, 7, count)

    scores = score(probabilities, truth)

    right = probabilities.argmax(axis=1) == truth
    assert scores.accuracy == pytest.approx(right.mean())
    assert scores.rows == count
    for value in scores.as_json().values():
        assert value >= 0
    present = np.unique(truth)
    recall = [right[truth == label].mean() for label in present]
    assert scores.as_json()["balanced_accuracy"] == pytest.approx(float(np.mean(recall)), abs=1e-5)
