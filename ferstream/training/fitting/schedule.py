"""Learning rates over a run: cosine with warm-up, or halved when the validation loss stalls."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cosine:
    """A linear warm-up from 0, then half a cosine down to ``floor`` x ``peak`` (Loshchilov & Hutter 2017)."""

    peak: float
    total_steps: int
    warmup_steps: int
    floor: float = 0.001

    def at(self, step: int) -> float:
        """Return the rate of ``step``, 0-based; steps past the end keep the floor."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        span = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / span)
        return self.peak * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(slots=True)
class Plateau:
    """Multiplies the rate by ``factor`` after ``patience`` epochs without a lower loss."""

    rate: float
    factor: float = 0.5
    patience: int = 3
    lowest: float = 1e-6
    best_loss: float = math.inf
    waited: int = 0

    def observe(self, loss: float) -> None:
        """Take note of an epoch's validation loss."""
        if loss < self.best_loss - 1e-4:
            self.best_loss, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.rate, self.waited = max(self.lowest, self.rate * self.factor), 0
