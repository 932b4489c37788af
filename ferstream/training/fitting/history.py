"""The numbers of each epoch, and what follows from them: the best epoch, and how long the score has not improved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """The numbers of one epoch: a row of ``history.json``.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Mean cross entropy over the augmented training faces.
        accuracy: Share of the training faces whose answer is the largest class of the target, 0..1.
        val_loss: Cross entropy of the validation faces against their targets.
        val_accuracy: Share of the validation faces answered with their original label, 0..1.
        val_majority_accuracy: Share of the validation faces with a FER+ majority answered with it, 0..1; None without votes.
        learning_rate: Of the last step.
        seconds: Wall time.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_majority_accuracy: float | None
    learning_rate: float
    seconds: float

    @property
    def score(self) -> float:
        """The accuracy that selects the best epoch: against the FER+ majority, or the original labels without votes."""
        return self.val_accuracy if self.val_majority_accuracy is None else self.val_majority_accuracy


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """Return the index of the epoch with the highest score; of equal scores the one with the lowest validation loss.

    An epoch whose loss is not a number is the best one only where all are like that: its score is that of random answers.
    """
    return max(range(len(history)), key=lambda index: (*_rank(history[index]), -index))


def epochs_without_progress(history: Sequence[EpochRecord]) -> int:
    """Return how many epochs have passed since the score last rose; 0 for an empty history."""
    if not history:
        return 0
    scores = [_rank(record)[:2] for record in history]
    return len(scores) - 1 - scores.index(max(scores))


def _rank(record: EpochRecord) -> tuple[bool, float, float]:
    """Return what orders epochs: a finite loss, the score, the loss. None of them is NaN, which compares with nothing."""
    is_finite = math.isfinite(record.val_loss) and math.isfinite(record.score)
    return is_finite, record.score if is_finite else 0.0, -record.val_loss if is_finite else 0.0
