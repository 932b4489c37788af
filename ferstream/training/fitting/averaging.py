"""An exponential average of the weights over the last steps: steadier than any single step's weights."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import keras
    from numpy.typing import NDArray


class WeightAverage:
    """Averages all weights, batch-norm statistics included, on the host, on any backend.

    With ``decay`` d the average after step t is d x average + (1 - d) x weights, with d ramped up
    from 0 as (1 + t) / (10 + t), so that the random start is soon forgotten (Polyak & Juditsky 1992).
    """

    def __init__(self, *, decay: float, every: int = 4) -> None:
        """Average with ``decay`` a step, 0..1, doing the work ``every`` few steps."""
        self._decay = decay
        self._every = every
        self._average: list[NDArray[np.float32]] = []

    @property
    def weights(self) -> list[NDArray[np.float32]]:
        """The average, in the order of ``model.get_weights()``; empty before the first update."""
        return self._average

    def restore(self, weights: Sequence[NDArray[np.float32]]) -> None:
        """Go on from a checkpoint's average."""
        self._average = [np.array(weight, np.float32) for weight in weights]

    def update(self, model: keras.Model, step: int) -> None:
        """Take in the weights after ``step``, 0-based."""
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
        """Run the block with the averaged weights in ``model``, then put the trained ones back."""
        if not self._average:
            yield
            return
        # Copies: on torch get_weights() gives views, and setting weights writes into them.
        trained = [np.array(weight) for weight in model.get_weights()]
        model.set_weights(self._average)
        try:
            yield
        finally:
            model.set_weights(trained)
