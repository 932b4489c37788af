"""Evidence over time: which label the probabilities of a track's frames support together.

The forward algorithm of a hidden Markov model (Rabiner, Proc. IEEE 77(2), 1989) whose states are the seven labels: a belief that
every frame multiplies by its probabilities, and that drifts slowly towards equal parts, because expressions change. Three
additions, each measured by ``bench/smoothing.py`` (docs/adr/0063):

- Frames count by media time, not by number: neighbouring frames at 30 frames per second say nearly the same.
- A change needs a margin, so that a belief in balance between two labels does not alternate.
- A face whose frames alternate between labels, as a speaker's do, needs more evidence for a change. A steady face that
  changes once does not: so a surprise is shown at once, and a spoken vowel is not.

Pure state without threads or clock. Called by the inference thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ferstream.domain.emotion import LABELS

NS_PER_S = 1_000_000_000
_UNIT = 0.3
"""Seconds of media time that count as one independent observation, in units of ``smoothing_s``."""
_CHANGES_PER_UNIT = 0.0018
"""Expected share of label changes per independent observation: how fast the belief drifts towards equal parts."""
_HEAVIEST_FRAME = 0.5
"""Longest time that one frame counts for, in units of ``smoothing_s``: no single frame changes the label of a steady face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLimits:
    """How much evidence a change of the label needs.

    Attributes:
        smoothing_s: Seconds of media time after which clear frames (20 to 1 for another label) change the label of a steady
            face; 0 = each frame decides alone.
        switch_margin: By how much the belief in another label must exceed that in the present one, 0..1.
        least_probability: Lower probabilities count as this one, 0..1: a model that is too sure must not decide alone.
        unrest_weight: By how much each recent alternation of the frames' labels raises the evidence that is needed, as a share.
        calm_s: Seconds of media time after which an alternation counts 1/e.
    """

    smoothing_s: float = 0.2
    switch_margin: float = 0.5
    least_probability: float = 0.01
    unrest_weight: float = 0.3
    calm_s: float = 2.0


class LabelFilter:
    """The belief in the labels of one track."""

    def __init__(self, limits: EvidenceLimits, probabilities: Sequence[float], now_ns: int) -> None:
        """Start with the first classified frame, whose most probable label is shown at once.

        Args:
            limits: How much evidence a change needs.
            probabilities: Seven values in LABELS order.
            now_ns: Media time of the frame.
        """
        self._limits = limits
        self._belief = _normalised([max(value, limits.least_probability) for value in probabilities])
        self._now_ns, self._unrest = now_ns, 0.0
        self.label = self._frame_label = most_probable(probabilities)
        """Position of the label in LABELS."""

    def update(self, probabilities: Sequence[float], now_ns: int) -> None:
        """Take the next classified frame into account.

        Args:
            probabilities: Seven values in LABELS order.
            now_ns: Media time of the frame.
        """
        frame_label = most_probable(probabilities)
        if self._limits.smoothing_s == 0:
            self.label = frame_label
            return
        elapsed_s = (now_ns - self._now_ns) / NS_PER_S
        self._now_ns = now_ns
        self._unrest *= math.exp(-elapsed_s / self._limits.calm_s)
        self._add(probabilities, elapsed_s)
        self._unrest += frame_label != self._frame_label
        self._frame_label = frame_label
        best = most_probable(self._belief)
        if self._belief[best] - self._belief[self.label] >= self._limits.switch_margin:
            self.label = best

    def _add(self, probabilities: Sequence[float], elapsed_s: float) -> None:
        """Multiply the belief by the probabilities, to the power of the number of independent observations."""
        limits = self._limits
        unit_s = _UNIT * limits.smoothing_s
        counted_s = min(elapsed_s, _HEAVIEST_FRAME * limits.smoothing_s)
        drift = -math.expm1(-_CHANGES_PER_UNIT * counted_s / unit_s)
        power = counted_s / (unit_s * (1 + limits.unrest_weight * self._unrest))
        self._belief = _normalised(
            [
                ((1 - drift) * believed + drift / len(LABELS)) * max(value, limits.least_probability) ** power
                for believed, value in zip(self._belief, probabilities, strict=True)
            ]
        )


def most_probable(probabilities: Sequence[float]) -> int:
    """Return the position of the highest value; of equals the first, so the order of LABELS decides a tie."""
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _normalised(values: Sequence[float]) -> list[float]:
    total = sum(values)
    return [value / total for value in values]
