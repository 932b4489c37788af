"""Measuring a classifier on labelled faces: the numbers of a model card, the same on every run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.targets import NO_MAJORITY, majority
from ferstream.training.evaluation.calibration import log_loss, reliability
from ferstream.training.evaluation.quality import pixel_keys

TRUTHS: tuple[str, ...] = ("fer2013", "ferplus")
"""What a face counts as: its original label, or what more than half of ten FER+ voters chose."""

_DIGITS = 6
_LEAST = 1e-12

Classify = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Numbers of one set of faces; rates are 0..1, ``confusion[truth, answer]`` counts faces."""

    loss: float
    ece: float
    confusion: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Faces that were judged."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(np.trace(self.confusion) / max(1, self.rows))

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share (7,) of each class's faces that were found; 0 for an absent class."""
        return np.asarray(np.diag(self.confusion) / np.maximum(1, self.confusion.sum(axis=1)))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share (7,) of each answer that was right; 0 for an answer never given."""
        return np.asarray(np.diag(self.confusion) / np.maximum(1, self.confusion.sum(axis=0)))

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean (7,) of precision and recall."""
        both = self.precision + self.recall
        return np.asarray(2 * self.precision * self.recall / np.where(both > 0, both, 1.0))

    def _over_present(self, values: npt.NDArray[np.float64]) -> float:
        present = self.confusion.sum(axis=1) > 0
        return float(values[present].mean()) if present.any() else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the numbers under the names the command line documents, rounded to 6 digits."""
        return {
            "rows": self.rows,
            "loss": round(self.loss, _DIGITS),
            "accuracy": round(self.accuracy, _DIGITS),
            "balanced_accuracy": round(self._over_present(self.recall), _DIGITS),
            "macro_f1": round(self._over_present(self.f1), _DIGITS),
            "ece": round(self.ece, _DIGITS),
        }

    def per_class(self) -> dict[str, dict[str, float]]:
        """Return precision, recall, f1 and faces of each class."""
        return {
            label: {
                "rows": int(self.confusion[i].sum()),
                "precision": round(float(self.precision[i]), _DIGITS),
                "recall": round(float(self.recall[i]), _DIGITS),
                "f1": round(float(self.f1[i]), _DIGITS),
            }
            for i, label in enumerate(LABELS)
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A classifier's answers to a set of faces, with their scores.

    ``judged`` are the faces that have a truth, ``truth`` (N,) and ``probabilities`` (N, 7) belong to
    them; ``unseen`` are the scores without faces whose pixels are also in Training, None when there is no
    Training to compare with.
    """

    judged: FaceSet
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    scores: Scores
    unseen: Scores | None
    left_out: int

    def as_json(self) -> dict[str, Any]:
        """Return every number, keys in a fixed order."""
        everything = self.scores.as_json()
        without = dict.fromkeys(everything) if self.unseen is None else self.unseen.as_json()
        return {
            **everything,
            **{f"{key}_dedup": value for key, value in without.items()},
            "rows_without_majority": self.left_out,
            "per_class": self.scores.per_class(),
            "confusion": self.scores.confusion.tolist(),
            "labels": list(LABELS),
        }


def evaluate(classify: Classify, faces: FaceSet, *, usage: str, truth: str = "fer2013") -> Evaluation:
    """Ask a classifier about every face of a split and score its answers.

    Args:
        classify: (n, 48, 48) uint8 to (n, 7) float32 probabilities.
        faces: All splits, so that faces that also occur in Training can be told.
        usage: The split to judge.
        truth: ``fer2013`` or ``ferplus``; the latter judges only rows with a majority.

    Raises:
        DataError: The split is empty, or ``ferplus`` is asked for and there are no votes.
    """
    part = faces.of_usage(usage)
    answers = true_classes(part, truth)
    has_truth = answers != NO_MAJORITY
    if not has_truth.any():
        raise DataError(f"{faces.source}: no row of {usage} has a FER+ majority")
    judged, answers = part.where(has_truth), answers[has_truth]
    probabilities = classify(judged.pixels)
    unseen = _unseen(judged, faces, usage)
    return Evaluation(
        judged=judged,
        truth=answers,
        probabilities=probabilities,
        scores=score(probabilities, answers),
        unseen=None if unseen is None else score(probabilities[unseen], answers[unseen]),
        left_out=int((~has_truth).sum()),
    )


def _unseen(judged: FaceSet, faces: FaceSet, usage: str) -> npt.NDArray[np.bool_] | None:
    """Tell which faces are not also in Training, (N,); None when there is no Training, or it is what is judged."""
    training = faces.pixels[faces.usages == "Training"]
    if usage == "Training" or not len(training):
        return None
    return ~np.isin(pixel_keys(judged.pixels), pixel_keys(training))


def true_classes(faces: FaceSet, truth: str) -> npt.NDArray[np.int64]:
    """Return what each face counts as, (N,), or ``NO_MAJORITY``.

    Raises:
        DataError: The truth is unknown, or FER+ is asked for without votes.
    """
    if truth not in TRUTHS:
        raise DataError(f"labels {truth!r} are unknown; choose one of {', '.join(TRUTHS)}")
    if truth == "fer2013":
        return faces.labels
    if faces.votes is None:
        raise DataError(f"{faces.source}: labels 'ferplus' need FER+'s votes; give --votes fer2013new.csv")
    return majority(faces.votes)


def score(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]) -> Scores:
    """Score probabilities (N, 7) against true classes (N,)."""
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(confusion, (truth, probabilities.argmax(axis=1)), 1)
    logits = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    return Scores(
        loss=log_loss(logits, truth) if len(truth) else 0.0,
        ece=reliability(probabilities, truth).error,
        confusion=confusion,
    )
