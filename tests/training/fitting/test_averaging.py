from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ferstream.training.fitting.averaging import WeightAverage


class Weights:
    """Stands in for a model: an array that is read and set in place, as on torch."""

    def __init__(self, value: float) -> None:
        self.arrays = [np.full(3, value, np.float32)]

    def get_weights(self) -> list[Any]:
        return list(self.arrays)

    def set_weights(self, arrays: list[Any]) -> None:
        for ours, array in zip(self.arrays, arrays, strict=True):
            ours[:] = array


def test_the_average_approaches_the_weights_over_many_steps() -> None:
    average, model = WeightAverage(decay=0.9, every=1), Weights(0.0)
    average.update(model, 0)
    model.arrays[0][:] = 1.0
    average.update(model, 50)
    early = float(average.weights[0][0])
    for step in range(51, 150):
        average.update(model, step)

    assert 0.05 < early < 0.2
    assert float(average.weights[0][0]) == pytest.approx(1.0, abs=1e-3)


def test_the_averaged_weights_are_set_only_within_the_block() -> None:
    average, model = WeightAverage(decay=0.9), Weights(1.0)
    average.restore([np.full(3, 0.25, np.float32)])

    with average.applied(model):
        assert model.arrays[0].tolist() == [0.25] * 3

    assert model.arrays[0].tolist() == [1.0] * 3


def test_the_trained_weights_are_restored_after_an_error() -> None:
    average, model = WeightAverage(decay=0.9), Weights(1.0)
    average.restore([np.zeros(3, np.float32)])

    with pytest.raises(ZeroDivisionError), average.applied(model):
        raise ZeroDivisionError

    assert model.arrays[0].tolist() == [1.0] * 3


def test_before_the_first_update_the_weights_stay() -> None:
    model = Weights(2.0)
    with WeightAverage(decay=0.9).applied(model):
        assert model.arrays[0].tolist() == [2.0] * 3
