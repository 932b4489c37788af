"""A classifier's answers to every face of a split and to their mirror images, and the scores that need no majority."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.targets import voted_shares
from ferstream.training.evaluation.calibration import Reliability, share_log_loss, share_reliability
from ferstream.training.evaluation.scores import Scores, log_of, score

Classify = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""From faces (n, 48, 48) uint8 to probabilities (n, 7) float32."""

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class VoteScores:
    """Scores against the shares of FER+'s votes, of all faces in which most voters saw one of the seven expressions.

    Attributes:
        rows: Number of faces.
        loss: Mean cross entropy of the shares and the probabilities.
        agreement: Mean share of the votes that agree with the answer, 0..1.
        confidence: Mean probability of the answer, 0..1.
        bins: Confidence against that share; its error is the expected calibration error on all faces.
    """

    rows: int
    loss: float
    agreement: float
    confidence: float
    bins: Reliability


@dataclass(frozen=True, slots=True)
class Answers:
    """A classifier's answers to the N faces of one split.

    Attributes:
        faces: The faces.
        probabilities: (N, 7) float32.
        mirrored: (N, 7) float32, of the mirror images.
    """

    faces: FaceSet
    probabilities: npt.NDArray[np.float32]
    mirrored: npt.NDArray[np.float32]

    @property
    def mirror_consistency(self) -> float:
        """Share of the faces whose mirror image gets the same label, 0..1."""
        return float((self.probabilities.argmax(axis=1) == self.mirrored.argmax(axis=1)).mean())

    def label_scores(self) -> Scores:
        """Return the scores on the original labels."""
        return score(self.probabilities, self.faces.labels)

    def vote_scores(self) -> VoteScores | None:
        """Return the scores against the shares of the votes; None without votes."""
        if self.faces.votes is None:
            return None
        shares, usable = voted_shares(self.faces.votes)
        if not usable.any():
            return None
        shares, rows = shares[usable], self.probabilities[usable]
        return VoteScores(
            rows=len(rows),
            loss=share_log_loss(log_of(rows), shares),
            agreement=float(shares[np.arange(len(rows)), rows.argmax(axis=1)].mean()),
            confidence=float(rows.max(axis=1).mean()),
            bins=share_reliability(rows, shares),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the numbers of all faces, rounded to 6 digits."""
        labels, votes = self.label_scores().as_json(), self.vote_scores()
        numbers: dict[str, Any] = {
            "rows": len(self.faces),
            "mirror_consistency": round(self.mirror_consistency, _DIGITS),
            "label_accuracy": labels["accuracy"],
            "label_balanced_accuracy": labels["balanced_accuracy"],
        }
        if votes is not None:
            numbers |= {
                "vote_rows": votes.rows,
                "vote_loss": round(votes.loss, _DIGITS),
                "vote_agreement": round(votes.agreement, _DIGITS),
                "vote_confidence": round(votes.confidence, _DIGITS),
                "vote_ece": round(votes.bins.error, _DIGITS),
            }
        return numbers


def answer(classify: Classify, faces: FaceSet, usage: str) -> Answers:
    """Classify every face of a split, and its mirror image.

    Raises:
        DataError: The split is empty.
    """
    split = faces.of_usage(usage)
    mirrored = np.ascontiguousarray(split.pixels[:, :, ::-1])
    return Answers(faces=split, probabilities=classify(split.pixels), mirrored=classify(mirrored))
