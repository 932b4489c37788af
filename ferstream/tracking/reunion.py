"""Faces that were away for a moment get their track back: the step after frame-to-frame matching.

A tracker that keeps lost tracks in its own matching lets one that drifted blindly take a face from
the track that followed it all along (seen in a street scene: an old man behind a passing boy took
over the boy). So the matcher here knows only the frame before, and only a face that it could not
match may take up an idle track, if it is about as large and about where the track was last seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ferstream.domain.face import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class ReunionLimits:
    """How far a face may have moved while it was away.

    Attributes:
        max_distance: Between the centres, in mean side lengths of the two boxes.
        max_growth: Larger over smaller side length.
    """

    max_distance: float = 0.75
    max_growth: float = 1.5


def reunite(faces: Sequence[Box], idle: Sequence[Box], limits: ReunionLimits) -> dict[int, int]:
    """Pair new faces with idle tracks, nearest first; equal distances by position.

    Args:
        faces: Boxes of faces without a track.
        idle: Last boxes of tracks without a face.
        limits: When a pair is impossible.

    Returns:
        Position of the idle track for the position of each face that has one; one to one.
    """
    pairs = ((_distance(faces[f], idle[t], limits), f, t) for f, t in product(range(len(faces)), range(len(idle))))
    found: dict[int, int] = {}
    for distance, face, track in sorted(pairs):
        if distance <= limits.max_distance and face not in found and track not in found.values():
            found[face] = track
    return found


def _distance(a: Box, b: Box, limits: ReunionLimits) -> float:
    """Centre distance in mean side lengths; infinite when the sizes differ too much."""
    size_a, size_b = math.sqrt(a.w * a.h), math.sqrt(b.w * b.h)
    if max(size_a, size_b) > limits.max_growth * min(size_a, size_b):
        return math.inf
    apart = math.hypot(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2)
    return 2 * apart / (size_a + size_b) if size_a + size_b > 0 else math.inf
