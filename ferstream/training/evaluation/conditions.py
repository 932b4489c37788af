"""How a model does under drawn conditions: which faces it is given, how many of them it labels, and how often it is wrong and sure.

Every condition is drawn on the same faces with generators of its own, so that equal seeds give equal numbers. The quality
checks of the crop (``detection/quality.py``) are part of what is measured: a face that they refuse is not labelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.detection.quality import QualityGate, QualityLimits
from ferstream.domain.emotion import LABELS, Abstained
from ferstream.domain.face import FACE_SIZE_PX, FaceImage
from ferstream.training.data import conditions as drawn
from ferstream.training.evaluation.answers import Classify

SURE = 0.8
"""A wrong answer with a higher probability counts as wrong and sure."""
BOX_PX_PER_CROP = 38.5
"""Shorter side of the detector's box of a face that fills the crop at its own size (box = 2.2 x distance of the eyes)."""

_CHUNK = 256
_DIRECTIONS_DEG = 180.0

Draw = Callable[[FaceImage, float, np.random.Generator], FaceImage]
Refuse = Callable[[FaceImage], Abstained | None]


@dataclass(frozen=True, slots=True)
class Condition:
    """One way in which pictures get worse.

    Attributes:
        name: Its name in tables and JSON.
        unit: What its strength is, with the unit.
        strengths: From mild to strong; empty text as unit and one strength for what is covered or not.
        draw: Draws it: crop (48, 48) uint8, strength, generator.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    draw: Draw


CONDITIONS: tuple[Condition, ...] = (
    Condition("clean", "", (1,), lambda face, _, __: face),
    Condition("size", "shorter side of the box, source px", (36, 30, 24, 20, 16, 12), lambda face, px, _: drawn.shrink(face, _crop_px(px))),
    Condition("blur", "sigma, crop px", (0.5, 1.0, 1.5, 2.0, 3.0), lambda face, sigma, _: drawn.defocus(face, sigma)),
    Condition(
        "motion", "length, crop px", (2, 3, 4, 6, 8, 12), lambda face, length, random: drawn.motion_blur(face, length, _direction(random))
    ),
    Condition("dark", "share of the light, with grain", (0.5, 0.25, 0.12, 0.06), lambda face, share, random: _dark(face, share, random)),
    Condition("bright", "grey levels added", (40, 80, 120, 160), lambda face, offset, _: drawn.light(face, offset=offset)),
    Condition("contrast", "share of the contrast", (0.5, 0.2, 0.1, 0.05, 0.02), lambda face, share, _: drawn.low_contrast(face, share)),
    Condition("jpeg", "quality", (50, 30, 20, 10, 5), lambda face, quality, _: drawn.jpeg(face, int(quality))),
    Condition("noise", "sigma, grey levels", (5, 10, 20, 30, 45), lambda face, sigma, random: drawn.noise(face, sigma, random)),
    Condition("rotation", "degrees", (5, 10, 20, 30, 45), lambda face, angle, random: drawn.rotate(face, angle * random.choice([-1, 1]))),
    Condition("mask", "", (1,), lambda face, _, random: drawn.mask(face, random)),
    Condition("hand", "", (1,), lambda face, _, random: drawn.hand(face, random)),
    Condition("sunglasses", "", (1,), lambda face, _, random: drawn.sunglasses(face, random)),
    Condition("lower face", "", (1,), lambda face, _, random: drawn.cover_lower_face(face, random)),
    Condition("spectacles", "", (1,), lambda face, _, random: drawn.spectacles(face, random)),
)
"""Everything that ``ferstream evaluate --conditions`` draws."""


@dataclass(frozen=True, slots=True)
class ConditionScore:
    """How a model does under one condition of one strength.

    Attributes:
        condition: Name of the condition.
        strength: Its strength.
        rows: Number of faces.
        labelled: Number of faces that are labelled.
        accuracy: Share of the labelled faces whose label is right, 0..1; NaN without a labelled face.
        balanced_accuracy: Mean of that share over the classes that occur among them.
        wrong_and_sure: Labelled faces per hundred of all faces whose label is wrong with a probability over ``SURE``.
        abstained: Number of faces by the reason for which they are not labelled.
    """

    condition: str
    strength: float
    rows: int
    labelled: int
    accuracy: float
    balanced_accuracy: float
    wrong_and_sure: float
    abstained: dict[str, int]

    @property
    def coverage(self) -> float:
        """Share of the faces that are labelled, 0..1."""
        return self.labelled / self.rows

    def as_json(self) -> dict[str, Any]:
        """Return the numbers; what is not defined is null."""
        return {
            "condition": self.condition,
            "strength": self.strength,
            "rows": self.rows,
            "coverage": round(self.coverage, 6),
            "accuracy": _number(self.accuracy),
            "balanced_accuracy": _number(self.balanced_accuracy),
            "wrong_and_sure_per_100": round(self.wrong_and_sure, 4),
            "abstained": self.abstained,
        }


def evaluate_conditions(
    classify: Classify,
    faces: npt.NDArray[np.uint8],
    truth: npt.NDArray[np.int64],
    *,
    conditions: Sequence[Condition] = CONDITIONS,
    limits: QualityLimits | None = None,
    min_confidence: float = 0.0,
    seed: int = 0,
    on_condition: Callable[[str], None] = lambda _: None,
) -> list[ConditionScore]:
    """Draw every condition at every strength on the faces, and score the answers of a classifier.

    Args:
        classify: The classifier.
        faces: (N, 48, 48) uint8.
        truth: (N,) int64, the true class of each.
        conditions: What is drawn.
        limits: Limits of the quality checks; None for the defaults.
        min_confidence: Lowest probability of a label, 0..1.
        seed: Draws what is random.
        on_condition: Called with the name of each condition before it is drawn.
    """
    limits = limits or QualityLimits()
    refuse = QualityGate(limits).crop_reason
    scores = []
    for number, condition in enumerate(conditions):
        on_condition(condition.name)
        for strength in condition.strengths:
            generators = (np.random.default_rng([seed, number, index]) for index in range(len(faces)))
            crops = np.stack([condition.draw(face, strength, random) for face, random in zip(faces, generators, strict=True)])
            reasons = _reasons(crops, refuse, too_small=condition.name == "size" and strength < limits.min_face_px)
            probabilities = np.concatenate([classify(crops[start : start + _CHUNK]) for start in range(0, len(crops), _CHUNK)])
            scores.append(_score(condition.name, strength, probabilities, truth, reasons, min_confidence))
    return scores


def _reasons(crops: npt.NDArray[np.uint8], refuse: Refuse, *, too_small: bool) -> list[Abstained | None]:
    return [Abstained.SMALL] * len(crops) if too_small else [refuse(crop) for crop in crops]


def _score(
    name: str,
    strength: float,
    probabilities: npt.NDArray[np.float32],
    truth: npt.NDArray[np.int64],
    reasons: Sequence[Abstained | None],
    min_confidence: float,
) -> ConditionScore:
    confidence, answers = probabilities.max(axis=1), probabilities.argmax(axis=1)
    unsure = confidence < min_confidence
    kept = np.array([reason is None for reason in reasons]) & ~unsure
    right = answers == truth
    counts = Counter(str(reason) for reason in reasons if reason is not None)
    counts.update([str(Abstained.LOW_CONFIDENCE)] * int(sum(reason is None for reason in reasons) - kept.sum()))
    recalls = [right[kept & (truth == label)].mean() for label in range(len(LABELS)) if (kept & (truth == label)).any()]
    return ConditionScore(
        condition=name,
        strength=strength,
        rows=len(truth),
        labelled=int(kept.sum()),
        accuracy=float(right[kept].mean()) if kept.any() else float("nan"),
        balanced_accuracy=float(np.mean(recalls)) if recalls else float("nan"),
        wrong_and_sure=100 * float((kept & ~right & (confidence > SURE)).mean()),
        abstained={reason: count for reason, count in sorted(counts.items()) if count},
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)


def _crop_px(box_px: float) -> int:
    return max(1, round(box_px * FACE_SIZE_PX / BOX_PX_PER_CROP))


def _direction(random: np.random.Generator) -> float:
    return float(random.uniform(0, _DIRECTIONS_DEG))


def _dark(face: FaceImage, share: float, random: np.random.Generator) -> FaceImage:
    """Take light away; the grain of the sensor stays."""
    return drawn.noise(drawn.light(face, gain=share), 2.0, random)
