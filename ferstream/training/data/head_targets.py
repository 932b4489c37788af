"""What the two heads of a network are taught: shares of FER+'s votes, and FER2013's own labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.targets import one_hot, seven_share, soft_targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ferstream.training.data.dataset import FaceSet

_LEAST_WEIGHT = 0.3
"""Weight of a face in the loss of the votes none of which fall on the seven classes; its target is then its label."""
_SMALLEST_SHARE = 1e-4


@dataclass(frozen=True, slots=True)
class HeadTargets:
    """Targets of the two heads. Every array has one row a face.

    Attributes:
        votes: (N, 7) float32, shares of the votes; the label where no class has two votes.
        votes_weights: (N,) float32, weight of the row in the loss of the head ``votes``: more where more voters saw one of the seven.
        labels: (N, 7) float32, the label, smoothed.
        priors: For each head the shares of the classes among its targets, without smoothing; each sums to 1.
    """

    votes: NDArray[np.float32]
    votes_weights: NDArray[np.float32]
    labels: NDArray[np.float32]
    priors: dict[str, tuple[float, ...]]


def head_targets(faces: FaceSet, *, smoothing: float = 0.0) -> HeadTargets:
    """Return the targets of the two heads.

    Args:
        faces: The training faces.
        smoothing: Weight of the uniform distribution in the targets of the head ``labels``, 0..1.

    Raises:
        DataError: The faces have no votes.
    """
    if faces.votes is None:
        raise DataError(f"{faces.source}: two heads need FER+'s votes; give fer2013new.csv with --votes")
    votes, labels = soft_targets(faces), one_hot(faces.labels)
    weights = _LEAST_WEIGHT + (1.0 - _LEAST_WEIGHT) * seven_share(faces.votes)
    return HeadTargets(
        votes=votes,
        votes_weights=weights.astype(np.float32),
        labels=((1.0 - smoothing) * labels + smoothing / len(LABELS)).astype(np.float32),
        priors={"votes": _shares(weights @ votes), "labels": _shares(labels.sum(axis=0))},
    )


def _shares(sums: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    shares = np.maximum(sums / sums.sum(), _SMALLEST_SHARE)
    return tuple(float(share) for share in shares / shares.sum())
