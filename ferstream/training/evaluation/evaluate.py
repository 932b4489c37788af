"""Evaluate a classifier on one split of labelled faces. The numbers are the same on every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.quality import pixel_keys
from ferstream.training.data.targets import NO_MAJORITY, majority
from ferstream.training.evaluation.answers import Answers, Classify, answer
from ferstream.training.evaluation.scores import Scores, score

TRUTHS: tuple[str, ...] = ("fer2013", "ferplus")
"""What the true class of a face is: its original label, or the class that more than half of ten FER+ voters chose."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A classifier's answers to a set of faces, and their scores.

    Attributes:
        faces: The N faces that have a true class.
        truth: (N,) int64, their true classes.
        probabilities: (N, 7) float32, the classifier's answers.
        scores: Scores of all N faces.
        unseen: Scores of the faces whose pixels are not in Training; None without Training faces to compare with.
        without_majority: Number of faces of the split that have no true class.
        answers: The answers to all faces of the split.
    """

    faces: FaceSet
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    scores: Scores
    unseen: Scores | None
    without_majority: int
    answers: Answers

    def as_json(self) -> dict[str, Any]:
        """Return every number, with keys in a fixed order."""
        on_all = self.scores.as_json()
        on_unseen = dict.fromkeys(on_all) if self.unseen is None else self.unseen.as_json()
        return {
            **on_all,
            **{f"{key}_dedup": value for key, value in on_unseen.items()},
            "rows_without_majority": self.without_majority,
            "all_rows": self.answers.as_json(),
            "per_class": self.scores.per_class(),
            "confusion": self.scores.confusion.tolist(),
            "labels": list(LABELS),
        }


def evaluate(classify: Classify, faces: FaceSet, *, usage: str, truth: str = "fer2013") -> Evaluation:
    """Classify every face of a split, and score those that have a true class.

    Args:
        classify: The classifier.
        faces: All splits, so that faces that are also in Training can be found.
        usage: The split to evaluate.
        truth: ``fer2013`` or ``ferplus``. With ``ferplus`` the faces with a FER+ majority are scored.

    Raises:
        DataError: The split is empty, or ``ferplus`` is given and there are no votes.
    """
    _true_classes_of(faces.of_usage(usage), truth, usage)
    return evaluate_answers(answer(classify, faces, usage), faces, usage=usage, truth=truth)


def evaluate_answers(answers: Answers, faces: FaceSet, *, usage: str, truth: str) -> Evaluation:
    """Score the answers to a split; see ``evaluate``."""
    classes = _true_classes_of(answers.faces, truth, usage)
    has_truth = classes != NO_MAJORITY
    scored, classes, probabilities = answers.faces.where(has_truth), classes[has_truth], answers.probabilities[has_truth]
    unseen = _unseen(scored, faces, usage)
    return Evaluation(
        faces=scored,
        truth=classes,
        probabilities=probabilities,
        scores=score(probabilities, classes),
        unseen=None if unseen is None else score(probabilities[unseen], classes[unseen]),
        without_majority=int((~has_truth).sum()),
        answers=answers,
    )


def _true_classes_of(split: FaceSet, truth: str, usage: str) -> npt.NDArray[np.int64]:
    classes = true_classes(split, truth)
    if not (classes != NO_MAJORITY).any():
        raise DataError(f"{split.source}: no row of {usage} has a FER+ majority")
    return classes


def true_classes(faces: FaceSet, truth: str) -> npt.NDArray[np.int64]:
    """Return the true class of each face (N,) int64, or ``NO_MAJORITY``.

    Raises:
        DataError: ``truth`` is unknown, or ``ferplus`` is given and there are no votes.
    """
    if truth not in TRUTHS:
        raise DataError(f"labels {truth!r} are unknown; choose one of {', '.join(TRUTHS)}")
    if truth == "fer2013":
        return faces.labels
    if faces.votes is None:
        raise DataError(f"{faces.source}: labels 'ferplus' need FER+'s votes; give --votes fer2013new.csv")
    return majority(faces.votes)


def _unseen(scored: FaceSet, faces: FaceSet, usage: str) -> npt.NDArray[np.bool_] | None:
    """Return a mask (N,) of the faces that are not also in Training; None without Training, or if that is the split itself."""
    training = faces.pixels[faces.usages == "Training"]
    if usage == "Training" or not len(training):
        return None
    return ~np.isin(pixel_keys(scored.pixels), pixel_keys(training))
