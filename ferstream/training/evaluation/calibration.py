"""Calibration of probabilities: the expected calibration error, and the temperature that lowers it.

The truth is either one class a face, or the shares of the seven classes among the votes of a face. Against shares, an
answer counts as right by the share of the votes that agree with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
        accuracy: (BINS,) float64, share of right answers, or of the votes that agree with the answers.
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
    return _binned(probabilities, (probabilities.argmax(axis=1) == labels).astype(np.float64))


def share_reliability(probabilities: npt.NDArray[np.floating], shares: npt.NDArray[np.floating]) -> Reliability:
    """Bin faces by the probability of their answer, and compare with the share of the votes that agree with it.

    Args:
        probabilities: (N, 7).
        shares: (N, 7), shares of the votes.
    """
    return _binned(probabilities, shares[np.arange(len(shares)), probabilities.argmax(axis=1)].astype(np.float64))


def log_loss(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], temperature: float = 1.0) -> float:
    """Return the mean negative log probability of ``labels`` (N,) under softmax(logits (N, 7) / temperature)."""
    scaled = logits.astype(np.float64) / temperature
    return float((np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())


def share_log_loss(logits: npt.NDArray[np.floating], shares: npt.NDArray[np.floating], temperature: float = 1.0) -> float:
    """Return the mean cross entropy of ``shares`` (N, 7) and softmax(logits (N, 7) / temperature)."""
    scaled = logits.astype(np.float64) / temperature
    return float((np.logaddexp.reduce(scaled, axis=1) - (shares * scaled).sum(axis=1)).mean())


def fit_temperature(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Return the temperature, 0.2..5, with the lowest log loss (Guo et al. 2017).

    Args:
        logits: (N, 7).
        labels: (N,) true classes.
    """
    return _lowest(lambda temperature: log_loss(logits, labels, temperature))


def fit_temperature_to_shares(logits: npt.NDArray[np.floating], shares: npt.NDArray[np.floating]) -> float:
    """Return the temperature, 0.2..5, with the lowest cross entropy against shares of votes.

    Args:
        logits: (N, 7).
        shares: (N, 7), shares of the votes.
    """
    return _lowest(lambda temperature: share_log_loss(logits, shares, temperature))


def softmax(logits: npt.NDArray[np.floating], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """Return the probabilities (N, 7) of logits (N, 7) divided by a temperature."""
    scaled = logits.astype(np.float64) / temperature
    return np.asarray(np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)))


def _binned(probabilities: npt.NDArray[np.floating], right: npt.NDArray[np.float64]) -> Reliability:
    confidence = probabilities.max(axis=1).astype(np.float64)
    index = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(index, minlength=BINS)
    filled = np.maximum(count, 1)
    return Reliability(
        confidence=np.bincount(index, confidence, BINS) / filled,
        accuracy=np.bincount(index, right, BINS) / filled,
        share=count / max(1, len(right)),
    )


def _lowest(loss: Callable[[float], float]) -> float:
    """Return the temperature with the lowest loss by golden-section search; the loss has a single minimum."""
    low, high = _LOG_RANGE
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if loss(math.exp(left)) < loss(math.exp(right)):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)
