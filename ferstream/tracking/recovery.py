"""Recovery of lost tracks: a face that was not visible for a moment gets its track back.

A tracker that keeps lost tracks in its frame-to-frame matching predicts their boxes without observations, and such
a track can take a face from the track that followed it (seen in a street scene: the track of an old man behind
a passing boy took over the boy). So the matcher knows only the previous frame, and only a face that it did not
match can recover a lost track, if their sizes and places are similar. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ferstream.domain.face import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLimits:
    """How much a face may differ from the last box of its track.

    Attributes:
        max_distance: Largest distance of the centres, in mean side lengths of the two boxes.
        max_growth: Largest ratio of the longer to the shorter side length.
    """

    max_distance: float = 0.75
    max_growth: float = 1.5


def recover_tracks(faces: Sequence[Box], lost: Sequence[Box], limits: RecoveryLimits) -> dict[int, int]:
    """Match unmatched faces to lost tracks, nearest pairs first; equal distances by position.

    Args:
        faces: Boxes of the faces without a track.
        lost: Last boxes of the tracks without a face.
        limits: Which pairs are possible.

    Returns:
        Position of a lost track by position of a face; each occurs at most once.
    """
    pairs = ((_distance(faces[f], lost[t], limits), f, t) for f, t in product(range(len(faces)), range(len(lost))))
    found: dict[int, int] = {}
    for distance, face, track in sorted(pairs):
        if distance <= limits.max_distance and face not in found and track not in found.values():
            found[face] = track
    return found


def _distance(a: Box, b: Box, limits: RecoveryLimits) -> float:
    """Return the distance of the centres in mean side lengths; infinite when the sizes differ too much."""
    size_a, size_b = math.sqrt(a.w * a.h), math.sqrt(b.w * b.h)
    if max(size_a, size_b) > limits.max_growth * min(size_a, size_b):
        return math.inf
    apart = math.hypot(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2)
    return 2 * apart / (size_a + size_b) if size_a + size_b > 0 else math.inf
