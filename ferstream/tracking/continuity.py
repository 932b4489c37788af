"""Breaks in what a camera shows: a cut to another scene, and a track that jumps to where its face cannot be.

After a break a track may follow another face than before. Pure functions; called by the tracking thread. The limits are
measured in docs/adr/0063.
"""

from __future__ import annotations

import math

import numpy as np

from ferstream.domain.face import Box, Thumbnail

_LEAST_DIFFERENCE = 12.0
"""Mean difference of two thumbnails, in grey levels, below which there is no cut."""
_MOST_CORRELATION = 0.6
"""Correlation of two thumbnails above which there is no cut."""
_LONGEST_JUMP = 0.75
"""Distance from the expected place, in side lengths of the face, beyond which a track has jumped."""
_MOST_GROWTH = 1.5
"""Ratio of the longer to the shorter side length beyond which a track has jumped."""

Motion = tuple[float, float]
"""Speed to the right and down, in source pixels per nanosecond."""


def is_cut(before: Thumbnail, after: Thumbnail) -> bool:
    """Return whether two consecutive pictures show different scenes. A change of the light alone is no cut: it keeps the pattern."""
    first, second = before - before.mean(), after - after.mean()
    if float(np.abs(first - second).mean()) < _LEAST_DIFFERENCE:
        return False
    power = math.sqrt(float((first * first).sum()) * float((second * second).sum()))
    return power == 0 or float((first * second).sum()) / power < _MOST_CORRELATION


def is_jump(before: Box, motion: Motion, after: Box, elapsed_ns: int) -> bool:
    """Return whether a face cannot have moved from one box to the other.

    Args:
        before: Last box of the track.
        motion: Its speed at that time.
        after: Its new box.
        elapsed_ns: Media time in nanoseconds between the two.
    """
    side_before, side_after = math.sqrt(before.w * before.h), math.sqrt(after.w * after.h)
    if max(side_before, side_after) > _MOST_GROWTH * min(side_before, side_after):
        return True
    (x, y), (new_x, new_y) = centre(before), centre(after)
    still = math.hypot(new_x - x, new_y - y)
    moving = math.hypot(new_x - x - motion[0] * elapsed_ns, new_y - y - motion[1] * elapsed_ns)
    return min(still, moving) > _LONGEST_JUMP * (side_before + side_after) / 2


def motion_between(before: Box, after: Box, elapsed_ns: int) -> Motion:
    """Return the speed of a face between two boxes; no speed without time between them."""
    if elapsed_ns <= 0:
        return (0.0, 0.0)
    (x, y), (new_x, new_y) = centre(before), centre(after)
    return (new_x - x) / elapsed_ns, (new_y - y) / elapsed_ns


def centre(box: Box) -> tuple[float, float]:
    """Return the middle of a box."""
    return box.x + box.w / 2, box.y + box.h / 2
