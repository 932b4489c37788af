"""Scores of a set of classified faces: accuracy, recall, precision, F1, log loss and calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.training.evaluation.calibration import log_loss, reliability

_DIGITS = 6
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one set of faces. Rates are 0..1.

    Attributes:
        loss: Mean negative log probability of the true class.
        ece: Expected calibration error, 0..1.
        confusion: (7, 7) int64, number of faces by ``[true class, answer]``.
    """

    loss: float
    ece: float
    confusion: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Number of faces."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(np.trace(self.confusion) / max(1, self.rows))

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share (7,) of each class's faces that were answered right; 0 for a class without faces."""
        return np.asarray(np.diag(self.confusion) / np.maximum(1, self.confusion.sum(axis=1)))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share (7,) of each answer that was right; 0 for an answer that never occurs."""
        return np.asarray(np.diag(self.confusion) / np.maximum(1, self.confusion.sum(axis=0)))

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean (7,) of precision and recall."""
        both = self.precision + self.recall
        return np.asarray(2 * self.precision * self.recall / np.where(both > 0, both, 1.0))

    def as_json(self) -> dict[str, Any]:
        """Return the numbers under the names that the documentation gives them, rounded to 6 digits."""
        return {
            "rows": self.rows,
            "loss": round(self.loss, _DIGITS),
            "accuracy": round(self.accuracy, _DIGITS),
            "balanced_accuracy": round(self._mean_over_present(self.recall), _DIGITS),
            "macro_f1": round(self._mean_over_present(self.f1), _DIGITS),
            "ece": round(self.ece, _DIGITS),
        }

    def per_class(self) -> dict[str, dict[str, float]]:
        """Return the number of faces, precision, recall and F1 of each class."""
        return {
            label: {
                "rows": int(self.confusion[i].sum()),
                "precision": round(float(self.precision[i]), _DIGITS),
                "recall": round(float(self.recall[i]), _DIGITS),
                "f1": round(float(self.f1[i]), _DIGITS),
            }
            for i, label in enumerate(LABELS)
        }

    def _mean_over_present(self, values: npt.NDArray[np.float64]) -> float:
        present = self.confusion.sum(axis=1) > 0
        return float(values[present].mean()) if present.any() else 0.0


def score(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]) -> Scores:
    """Score probabilities (N, 7) against true classes (N,)."""
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(confusion, (truth, probabilities.argmax(axis=1)), 1)
    return Scores(
        loss=log_loss(log_of(probabilities), truth) if len(truth) else 0.0,
        ece=reliability(probabilities, truth).error,
        confusion=confusion,
    )


def log_of(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the logarithms of probabilities (N, 7), finite also for 0."""
    return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)))
