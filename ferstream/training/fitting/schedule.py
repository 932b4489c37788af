"""Learning rates over a run: cosine with warm-up, or reduced when the validation loss stalls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

FLOOR = 0.001
"""Last learning rate of the cosine, as a share of its peak."""


class Cosine:
    """Linear warm-up, then half a cosine down to ``FLOOR`` x peak (Loshchilov & Hutter 2017), by Keras's ``CosineDecay``.

    Warm-up starts at peak / ``warmup_steps``, not at 0: a step with rate 0 would learn nothing.
    """

    def __init__(self, *, peak: float, total_steps: int, warmup_steps: int) -> None:
        """Describe the schedule; ``total_steps`` includes the warm-up."""
        self._warmup_steps = warmup_steps
        self._decay = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, total_steps - warmup_steps), alpha=FLOOR, warmup_target=peak, warmup_steps=warmup_steps
        )

    def at(self, step: int) -> float:
        """Return the learning rate of ``step`` (from 0). Steps after the last one get the lowest rate."""
        return float(keras.ops.convert_to_numpy(self._decay(step + 1 if step < self._warmup_steps else step)))


@dataclass(slots=True)
class Plateau:
    """Multiplies the learning rate by ``factor`` after ``patience`` epochs without a lower validation loss.

    The fields are the state that a checkpoint keeps. Keras's ``ReduceLROnPlateau`` keeps its state in the optimizer, which is
    replaced when a frozen base starts to train (docs/adr/0033-training-loop.md).
    """

    rate: float
    factor: float = 0.5
    patience: int = 3
    lowest: float = 1e-6
    best_loss: float = math.inf
    waited: int = 0

    def observe(self, loss: float) -> None:
        """Update the rate from an epoch's validation loss."""
        if loss < self.best_loss - 1e-4:
            self.best_loss, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.rate, self.waited = max(self.lowest, self.rate * self.factor), 0
