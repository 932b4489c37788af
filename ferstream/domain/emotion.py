"""The seven expressions, in the order that every array, file and payload uses, and the label of a face."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LABELS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Names of the classes; element ``i`` of a probability vector belongs to ``LABELS[i]``."""

UNKNOWN = "unknown"
"""Label of a face that is not classified or whose classification is not trusted; ``Abstained`` says why."""


class Abstained(StrEnum):
    """Why a face is labelled ``unknown``."""

    SMALL = "small"
    """The face has too few pixels."""
    BLURRED = "blurred"
    """The crop has too little detail, or the face moved during the exposure."""
    OCCLUDED = "occluded"
    """Mouth or eyes are covered, or the crop shows no face."""
    DARK = "dark"
    """There is too little light or contrast, or grain hides the face."""
    TURNED = "turned"
    """The head is turned too far, lies on its side or is upside down, or a landmark lies outside the picture."""
    LOW_CONFIDENCE = "low_confidence"
    """The highest probability is below the limit."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A label and its probability.

    Attributes:
        label: One of ``LABELS``, or ``UNKNOWN``.
        confidence: Probability of the label, 0..1. For ``UNKNOWN``: that of the most probable class, or 0 without one.
    """

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Emotion:
    """The expression of one face in one frame.

    Attributes:
        verdict: Label of this frame alone.
        smoothed: Label of the track, averaged over its last frames.
        probabilities: One entry per label in ``LABELS`` order, summing to 1; None when the face was not classified.
        abstained: Why ``verdict`` is ``UNKNOWN``; None when it is a label.
    """

    verdict: Verdict
    smoothed: Verdict
    probabilities: tuple[float, ...] | None
    abstained: Abstained | None = None
