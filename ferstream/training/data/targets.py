"""What a network is taught: FER2013's label, the FER+ votes as a distribution, or a blend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ferstream.domain.emotion import LABELS
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


def one_hot(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return labels (N,) as (N, 7) float32 with one 1 a row."""
    return np.eye(len(LABELS), dtype=np.float32)[labels]


def vote_distribution(votes: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Turn FER+ votes (N, 10) into distributions (N, 7) float32 and a mask (N,) of usable rows.

    A single vote is taken for a slip and dropped (Barsoum et al. 2016, "Training Deep Networks
    for Facial Expression Recognition with Crowd-Sourced Label Distribution"); contempt, unknown
    and NF have no class here. A row left without votes is not usable and all zero.
    """
    counts = np.where(votes > 1, votes, 0)[:, _COLUMNS].astype(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    return counts / np.maximum(total, 1.0), total[:, 0] > 0


def majority(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class (N,) that more than half of all ten voters chose, or ``NO_MAJORITY``.

    Rows whose majority is contempt, unknown or "no face" have none of the seven classes.
    """
    ours = votes[:, _COLUMNS]
    best = ours.argmax(axis=1)
    clear = 2 * ours.max(axis=1) > votes.sum(axis=1)
    return np.where(clear, best, NO_MAJORITY)


def soft_targets(faces: FaceSet, *, label_weight: float = 0.0, smoothing: float = 0.0) -> NDArray[np.float32]:
    """Return what each face is taught as (N, 7) float32 distributions.

    Args:
        faces: the faces; without votes the original label is all there is.
        label_weight: share of the original label in a row that has votes, 0..1.
        smoothing: share of the uniform distribution, 0..1.
    """
    targets = one_hot(faces.labels)
    if faces.votes is not None:
        voted, usable = vote_distribution(faces.votes)
        blend = label_weight * targets + (1.0 - label_weight) * voted
        targets = np.where(usable[:, None], blend, targets)
    return ((1.0 - smoothing) * targets + smoothing / len(LABELS)).astype(np.float32)
