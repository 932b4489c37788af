"""Choosing the balance of two heads on labelled faces, and the curve of what it trades.

More of the head ``labels`` and less of the classes' frequencies find more anger, disgust, fear and sadness, and call more
neutral faces by these names. The choice is the balance with the highest balanced accuracy on the original labels among
those that keep given scores on the FER+ majority.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.balance import Balance
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.targets import NO_MAJORITY, majority
from ferstream.training.two_heads import TwoHeads

Heads = Mapping[str, npt.NDArray[np.float32]]
"""The logits (N, 7) of both heads, by head."""

_LABELS_WEIGHTS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
_VOTES_PRIORS = (0.0, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
_LABELS_PRIORS = (0.0, 0.5, 1.0)
_NEUTRAL_OFFSETS = (0.0, 0.1, 0.2)
_DISGUST_OFFSETS = (0.0, 0.2, 0.4)
CURVE = tuple(round(0.1 * step, 1) for step in range(11))
"""Values of a parameter at which its curve is drawn."""


class Rates(NamedTuple):
    """Scores of a balance, 0..1.

    Attributes:
        accuracy: Accuracy on the FER+ majority.
        balanced: Mean recall of the classes on the FER+ majority.
        labels: Accuracy on the original labels.
        labels_balanced: Mean recall of the classes on the original labels.
    """

    accuracy: float
    balanced: float
    labels: float
    labels_balanced: float

    def margin(self, lowest: Lowest) -> float:
        """Return how far both FER+ scores are above the lowest allowed; negative where one is below."""
        return min(self.accuracy - lowest.accuracy, self.balanced - lowest.balanced)

    def as_json(self) -> dict[str, float]:
        """Return the scores, rounded to 4 digits."""
        return {name: round(value, 4) for name, value in self._asdict().items()}


@dataclass(frozen=True, slots=True)
class Lowest:
    """The scores on the FER+ majority that a chosen balance must keep, 0..1.

    Attributes:
        accuracy: Lowest accuracy.
        balanced: Lowest balanced accuracy.
    """

    accuracy: float
    balanced: float


@dataclass(frozen=True, slots=True)
class Point:
    """A balance and its scores."""

    balance: Balance
    rates: Rates


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen balance.

    Attributes:
        point: The balance and its scores on the faces that chose it.
        checked: Scores of the balances that each half of the faces chose, on the other half: the mean of the two halves.
    """

    point: Point
    checked: Rates


def score_balance(balance: Balance, heads: Heads, about: TwoHeads, faces: FaceSet) -> Point:
    """Score one balance.

    Args:
        balance: The balance.
        heads: The logits of both heads for ``faces``.
        about: The description of the network.
        faces: N faces with votes.
    """
    answers = balance.logits(heads, about).argmax(axis=1)
    classes = _majorities(faces)
    clear = classes != NO_MAJORITY
    return Point(balance, Rates(*_accuracies(answers[clear], classes[clear]), *_accuracies(answers, faces.labels)))


def choose(heads: Heads, about: TwoHeads, faces: FaceSet, lowest: Lowest) -> Choice:
    """Choose a balance, and check the way of choosing: chosen on each half of the faces, scored on the other half.

    Args:
        heads: The logits of both heads for ``faces``.
        about: The description of the network.
        faces: N faces with votes.
        lowest: The scores to keep.

    Raises:
        DataError: No balance keeps them, or the faces have no votes.
    """
    point = _best(heads, about, faces, lowest)
    if point.rates.margin(lowest) < 0:
        raise DataError(
            f"{faces.source}: no balance has an accuracy of {lowest.accuracy:.1%} and a balanced accuracy of {lowest.balanced:.1%} on "
            f"the FER+ majority; the nearest has {point.rates.accuracy:.1%} and {point.rates.balanced:.1%}"
        )
    half = np.random.default_rng(0).permutation(len(faces)) % 2 == 0
    checked = []
    for chooses, scores in ((half, ~half), (~half, half)):
        found = _best(_rows(heads, chooses), about, faces.where(chooses), lowest)
        checked.append(score_balance(found.balance, _rows(heads, scores), about, faces.where(scores)).rates)
    return Choice(point, Rates(*(float(value) for value in np.mean(checked, axis=0))))


def curves(balance: Balance, heads: Heads, about: TwoHeads, faces: FaceSet) -> dict[str, list[Point]]:
    """Return the points of a balance with another ``votes_prior``, and with another weight of the head ``labels``."""
    varied = {
        "votes_prior": [replace(balance, votes_prior=value) for value in CURVE],
        "labels": [replace(balance, labels=value) for value in CURVE],
    }
    return {name: [score_balance(item, heads, about, faces) for item in balances] for name, balances in varied.items()}


def curves_as_json(balance: Balance, points: Mapping[str, Sequence[Point]]) -> dict[str, dict[str, list[float]]]:
    """Return the curves of a balance for a manifest: by parameter the values, the chosen one, and the scores."""
    return {
        name: {
            "values": list(CURVE),
            "chosen": [getattr(balance, name)],
            **{score: [round(getattr(point.rates, score), 4) for point in line] for score in Rates._fields},
        }
        for name, line in points.items()
    }


def _best(heads: Heads, about: TwoHeads, faces: FaceSet, lowest: Lowest) -> Point:
    """Return the best balance that keeps the lowest scores, or where none does, the one that comes nearest."""
    points = [score_balance(balance, heads, about, faces) for balance in _candidates()]
    allowed = [point for point in points if point.rates.margin(lowest) >= 0]
    if allowed:
        return max(allowed, key=lambda point: point.rates.labels_balanced)
    return max(points, key=lambda point: point.rates.margin(lowest))


def _candidates() -> Iterator[Balance]:
    grid: Sequence[Sequence[float]] = (_LABELS_WEIGHTS, _VOTES_PRIORS, _LABELS_PRIORS, _NEUTRAL_OFFSETS, _DISGUST_OFFSETS)
    for labels, votes_prior, labels_prior, neutral, disgust in product(*grid):
        if labels or not labels_prior:  # without the head its prior has no effect
            offsets = {label: value for label, value in (("neutral", neutral), ("disgust", disgust)) if value}
            yield Balance(labels=labels, votes_prior=votes_prior, labels_prior=labels_prior, offsets=offsets)


def _majorities(faces: FaceSet) -> npt.NDArray[np.int64]:
    if faces.votes is None:
        raise DataError(f"{faces.source}: a balance is chosen and scored on FER+'s votes; give --votes fer2013new.csv")
    return majority(faces.votes)


def _accuracies(answers: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the accuracy and the mean recall over the classes that occur."""
    right = answers == classes
    counts = np.bincount(classes, minlength=len(LABELS))
    recall = np.bincount(classes, right, len(LABELS)) / np.maximum(1, counts)
    return float(right.mean()), float(recall[counts > 0].mean())


def _rows(heads: Heads, mask: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.float32]]:
    return {head: logits[mask] for head, logits in heads.items()}
