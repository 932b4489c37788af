"""The seven expressions in the one order every array, file and payload uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LABELS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names; index ``i`` of a probability vector belongs to ``LABELS[i]``."""

UNKNOWN = "unknown"
"""Label of a face the daemon abstains from judging."""


class Abstained(StrEnum):
    """Why a face is labelled ``unknown``."""

    SMALL = "small"
    BLURRED = "blurred"
    TURNED = "turned"
    LOW_CONFIDENCE = "low_confidence"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A label with its probability, 0..1; ``unknown`` carries the best class's probability or 0."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Emotion:
    """What one face of one frame resembles.

    ``probabilities`` has one entry per label in ``LABELS`` order and sums to 1; it is None when
    the face was never classified. ``smoothed`` is the verdict over the recent life of the track.
    """

    verdict: Verdict
    smoothed: Verdict
    probabilities: tuple[float, ...] | None
    abstained: Abstained | None = None
