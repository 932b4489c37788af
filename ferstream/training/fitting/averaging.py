"""Exponential moving average of a network's weights, which validates better than the weights of a single step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import keras
    from numpy.typing import NDArray


class WeightAverage:
    """Averages all weights, batch-norm statistics included, as numpy arrays, so that it works on any backend.

    With ``decay`` d the average after step t is d x average + (1 - d) x weights (Polyak & Juditsky 1992). d is at most
    (1 + t) / (10 + t), so that the initial weights have no influence after some steps.
    """

    def __init__(self, *, decay: float, every: int = 4) -> None:
        """Average with ``decay`` a step, 0..1; update only in every ``every``-th step, which costs less time."""
        self._decay = decay
        self._every = every
        self._average: list[NDArray[np.float32]] = []

    @property
    def weights(self) -> list[NDArray[np.float32]]:
        """The averaged weights, in the order of ``model.get_weights()``; empty before the first update."""
        return self._average

    def restore(self, weights: Sequence[NDArray[np.float32]]) -> None:
        """Take over the average of a checkpoint."""
        self._average = [np.array(weight, np.float32) for weight in weights]

    def update(self, model: keras.Model, step: int) -> None:
        """Update the average with the model's weights after ``step`` (from 0)."""
        if step % self._every:
            return
        current = model.get_weights()
        if not self._average:
            self.restore(current)
            return
        decay = min(self._decay, (1 + step) / (10 + step)) ** self._every
        pairs = zip(self._average, current, strict=True)
        self._average = [average + np.float32(1.0 - decay) * (weight - average) for average, weight in pairs]

    @contextmanager
    def applied(self, model: keras.Model) -> Iterator[None]:
        """Set the averaged weights in ``model`` for the length of the block; restore the trained weights at its end."""
        if not self._average:
            yield
            return
        # Copies: on torch get_weights() returns views, and set_weights() would write into them.
        trained = [np.array(weight) for weight in model.get_weights()]
        model.set_weights(self._average)
        try:
            yield
        finally:
            model.set_weights(trained)
