"""Calibration of probabilities: the expected calibration error, and the temperature that lowers it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 15
_LOG_RANGE = (math.log(0.2), math.log(5.0))
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Reliability:
    """Faces by confidence, in ``BINS`` equal bins of 0..1. Empty bins hold 0.

    Attributes:
        confidence: (BINS,) float64, mean probability of the answers.
        accuracy: (BINS,) float64, share of right answers.
        share: (BINS,) float64, share of all faces that are in the bin.
    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1: the mean difference of confidence and accuracy, weighted by faces (Naeini et al. 2015)."""
        return float((self.share * np.abs(self.confidence - self.accuracy)).sum())


def reliability(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> Reliability:
    """Bin faces by the probability of their answer.

    Args:
        probabilities: (N, 7).
        labels: (N,) true classes.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    index = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(index, minlength=BINS)
    filled = np.maximum(count, 1)
    return Reliability(
        confidence=np.bincount(index, confidence, BINS) / filled,
        accuracy=np.bincount(index, right, BINS) / filled,
        share=count / max(1, len(labels)),
    )


def log_loss(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], temperature: float = 1.0) -> float:
    """Return the mean negative log probability of ``labels`` (N,) under softmax(logits (N, 7) / temperature)."""
    scaled = logits.astype(np.float64) / temperature
    return float((np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())


def fit_temperature(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Return the temperature, 0.2..5, with the lowest log loss (Guo et al. 2017), by golden-section search.

    The log loss has a single minimum in the temperature, which is what the search needs.

    Args:
        logits: (N, 7).
        labels: (N,) true classes.
    """
    low, high = _LOG_RANGE
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if log_loss(logits, labels, math.exp(left)) < log_loss(logits, labels, math.exp(right)):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)
