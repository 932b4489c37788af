"""Training targets: FER2013's label, the FER+ votes as a distribution, or a blend of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.dataset import VOTE_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ferstream.training.data.dataset import FaceSet

_VOTE_OF_LABEL = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}
_COLUMNS = [VOTE_NAMES.index(_VOTE_OF_LABEL[label]) for label in LABELS]
NO_MAJORITY = -1
"""Stands for a class where no class has a majority of the votes."""


def one_hot(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return labels (N,) as one-hot rows (N, 7) float32."""
    return np.eye(len(LABELS), dtype=np.float32)[labels]


def vote_distribution(votes: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Turn FER+ votes (N, 10) into distributions (N, 7) float32 and a boolean mask (N,) of usable rows.

    A class with a single vote counts as a mistake of that voter and is dropped (Barsoum et al. 2016, "Training Deep
    Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution"). Votes for contempt, unknown and
    NF (no face) are dropped too. A row without remaining votes is all zero and not usable.
    """
    counts = np.where(votes > 1, votes, 0)[:, _COLUMNS].astype(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    return counts / np.maximum(total, 1.0), total[:, 0] > 0


def voted_shares(votes: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the shares of the seven classes (N, 7) float32, and a mask (N,) of the faces for which they mean something.

    Those are the faces in which at least half of the voters saw one of the seven, be it with a majority or without.
    """
    shares, usable = vote_distribution(votes)
    return shares, usable & (2 * votes[:, _COLUMNS].sum(axis=1) >= votes.sum(axis=1))


def seven_share(votes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the share of the votes that fall on one of the seven classes: (N,) float32, 0..1."""
    return np.asarray(votes[:, _COLUMNS].sum(axis=1) / np.maximum(votes.sum(axis=1), 1), np.float32)


def majority(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class (N,) int64 that more than half of the ten voters chose, or ``NO_MAJORITY``.

    A majority for contempt, unknown or NF (no face) gives ``NO_MAJORITY``.
    """
    known = votes[:, _COLUMNS]
    best = known.argmax(axis=1)
    clear = 2 * known.max(axis=1) > votes.sum(axis=1)
    return np.where(clear, best, NO_MAJORITY)


def soft_targets(faces: FaceSet, *, label_weight: float = 0.0, smoothing: float = 0.0) -> NDArray[np.float32]:
    """Return the target of each face: distributions (N, 7) float32.

    Args:
        faces: The faces. Without votes the target is the original label.
        label_weight: Weight of the original label in a row with usable votes, 0..1.
        smoothing: Weight of the uniform distribution, 0..1.
    """
    targets = one_hot(faces.labels)
    if faces.votes is not None:
        voted, usable = vote_distribution(faces.votes)
        targets = np.where(usable[:, None], label_weight * targets + (1.0 - label_weight) * voted, targets)
    return ((1.0 - smoothing) * targets + smoothing / len(LABELS)).astype(np.float32)


def blend(targets: NDArray[np.float32], teacher: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Return ``weight`` x ``teacher`` + (1 - ``weight``) x ``targets``, all (N, 7) float32.

    Raises:
        DataError: The arrays have different shapes.
    """
    if targets.shape != teacher.shape:
        raise DataError(f"the teacher's targets have shape {teacher.shape}, expected {targets.shape}")
    return np.asarray((1.0 - weight) * targets + weight * teacher, np.float32)
