"""Masks, hands, glasses and other coverings, drawn on a batch of faces by ``keras.ops``, for training on the device.

Every covering is computed for every face, and one or none is used: the work is the same for each batch, as compiled
functions need it. Positions are those of the canonical geometry (``inference/alignment.py``): eyes at (14.9, 17.7) and
(32.1, 17.7), nose tip at (23.5, 27.8), mouth corners at (16.5, 36) and (30.5, 36).

A covering is a pair of tensors (B, 48, 48) float32: how much of each pixel is covered, 0..1, and the grey values of the
covering, 0..255.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.training.data.device_augmentation import DeviceAugmentation
from ferstream.training.data.random_ops import Draws

DRAWS = 80
"""Random numbers a face that ``occlude`` takes at most."""

_EYES = ((14.9, 17.7), (32.1, 17.7))
_MOUTH = (23.5, 36.0)
_CENTRE = (FACE_SIZE_PX - 1) / 2
_ROWS, _COLUMNS = np.mgrid[:FACE_SIZE_PX, :FACE_SIZE_PX].astype(np.float32)[:, None]
"""Row and column of each pixel, (1, 48, 48)."""

Covering = tuple[Any, Any]


def occlude(faces: Any, settings: DeviceAugmentation, draws: Draws) -> Any:
    """Return faces (B, 48, 48) float32, 0..255, of which some are covered by a mask, a hand, glasses, or below the nose."""
    kinds = (
        (settings.mask, _mask),
        (settings.hand, lambda draws: _hand(faces, draws)),
        (settings.glasses, _glasses),
        (settings.lower_face, _lower_face),
    )
    kind, upper, covered, texture = draws.between(0.0, 1.0), 0.0, ops.zeros_like(faces), ops.zeros_like(faces)
    for probability, draw in kinds:
        if probability > 0:
            coverage, greys = draw(draws)
            chosen = ops.logical_and(kind >= upper, kind < upper + probability)
            covered, texture = ops.where(chosen, coverage, covered), ops.where(chosen, greys, texture)
            upper += probability
    return faces * (1 - covered) + texture * covered


def erase(faces: Any, probability: float, draws: Draws) -> Any:
    """Cover a rectangle of 6 to 22 pixels a side with one grey value, anywhere in the face."""
    middle_x, middle_y = draws.between(0, FACE_SIZE_PX), draws.between(0, FACE_SIZE_PX)
    width, height = draws.between(6, 22), draws.between(6, 22)
    inside = ops.logical_and(ops.abs(_COLUMNS - middle_x) < width / 2, ops.abs(_ROWS - middle_y) < height / 2)
    return ops.where(ops.logical_and(inside, draws.happens(probability)), draws.between(0, 255), faces)


def _mask(draws: Draws) -> Covering:
    """Draw cloth from the bridge of the nose to the chin, with an upper edge that rises to the nose, and ear loops."""
    middle, down = 23.5 + draws.around(1.5), draws.around(2.0)
    nose, side, jaw = 24 + down, 26 + down + draws.between(0, 2), 40 + draws.between(-1, 2)
    half, bump = draws.between(14.5, 18.5), draws.between(0, 2.5)
    across = ops.abs(_COLUMNS - middle) / half
    inner = nose - bump + (1.5 + bump) * across / 0.55
    outer = nose + 1.5 + (side - nose - 1.5) * (across - 0.55) / 0.45
    below_top = _soft_edge(_ROWS - ops.where(across < 0.55, inner, outer))
    below_jaw = ops.clip((_ROWS - jaw) / (47.5 - jaw), 0.0, 1.0)
    above_jaw = ops.clip((_ROWS - side) / (jaw - side), 0.0, 1.0)
    width = half * (1 - 0.1 * above_jaw - 0.45 * below_jaw)
    covered = below_top * _soft_edge(width - across * half)
    for direction in (-1, 1):
        ear = (middle + direction * 24, side - draws.between(2, 6))
        covered = ops.maximum(covered, _line((middle + direction * half, side + 1), ear, 0.8))
    return covered, _cloth(draws)


def _hand(faces: Any, draws: Draws) -> Covering:
    """Draw three or four fingers in front of the mouth, of about the grey of the face's cheeks and nose."""
    x, y = _MOUTH[0] + draws.around(3), _MOUTH[1] + draws.between(-1, 3)
    tilt, spread, side = draws.around(math.radians(50)), draws.between(3.6, 4.8), draws.sign()
    along_x, along_y = ops.cos(tilt), ops.sin(tilt)
    fourth = ops.where(draws.happens(0.5), 1.0, 0.0)
    covered, inner = ops.zeros_like(faces), ops.zeros_like(faces)
    for finger in range(4):
        offset = (finger - 1 - fourth / 2) * spread
        middle_x, middle_y = x - along_y * offset, y + along_x * offset
        reach = draws.between(9, 13)
        tip = (middle_x - side * along_x * reach, middle_y - side * along_y * reach)
        base = (middle_x + side * along_x * 26, middle_y + side * along_y * 26)
        drawn = fourth if finger == 3 else 1.0
        covered = ops.maximum(covered, drawn * _line(tip, base, spread + 1.2))
        inner = ops.maximum(inner, drawn * _line(tip, base, spread - 1.6))
    skin = ops.mean(faces[:, 20:34, 12:36], axis=(1, 2), keepdims=True) * draws.between(0.8, 1.15)
    return covered, skin - draws.between(18, 40) * (1 - inner) + slope(draws, 14)


def _glasses(draws: Draws) -> Covering:
    """Draw two dark lenses over the eyes, a bridge and side bars; some with a reflection."""
    dx, dy = draws.around(1.0), draws.between(-1.0, 1.5)
    wide, high = draws.between(6.2, 8.2), draws.between(4.6, 6.6)
    right, left = ((x + dx, y + dy) for x, y in _EYES)
    lenses = ops.maximum(*(_ellipse((x, y + 0.5), (wide, high)) for x, y in (right, left)))
    bridge = _line((right[0], right[1] - 1), (left[0], left[1] - 1), 1.6)
    bars = ops.maximum(
        _line((right[0] * 0, right[1] - 2), (right[0], right[1] - 1), 1.4),
        _line((left[0], left[1] - 1), (left[0] * 0 + 47, left[1] - 2), 1.4),
    )
    greys = draws.between(8, 55) + slope(draws, 10)
    strength = ops.where(draws.happens(0.4), draws.between(40, 120), 0.0)
    for x, y in (right, left):
        greys = greys + strength * _line((x - 3, y + 2), (x + 2, y - 4), 1.5)
    return ops.maximum(lenses, ops.maximum(bridge, bars)), greys


def _lower_face(draws: Draws) -> Covering:
    """Draw a scarf, a cup, or the edge of the picture: everything below a line near the nose has one grey."""
    edge, lean = draws.between(25, 33), draws.around(5)
    return _soft_edge(_ROWS - edge + lean * (_COLUMNS - _CENTRE) / _CENTRE), _cloth(draws)


def _cloth(draws: Draws) -> Any:
    """Return one grey, unevenly lit, with folds across; white and light masks are the most frequent."""
    grey = ops.where(draws.happens(0.65), draws.between(165, 240), draws.between(20, 165))
    folds = draws.between(0, 9) * ops.cos(_ROWS * 2 * math.pi / draws.between(4, 9) + draws.between(0, 6))
    return grey + folds + slope(draws, 25)


def slope(draws: Draws, largest: float) -> Any:
    """Return a plane that rises in a random direction: (B, 48, 48) float32, at most ``largest`` grey levels at an edge."""
    angle, height = draws.between(0, 2 * math.pi), draws.between(0, largest)
    plane = (_ROWS / _CENTRE - 1) * ops.sin(angle) + (_COLUMNS / _CENTRE - 1) * ops.cos(angle)
    return height * plane / math.sqrt(2)


def _soft_edge(distance: Any) -> Any:
    """Return coverage for distances to an edge in pixels, positive inside: the pixel on the edge is half covered."""
    return ops.clip(distance + 0.5, 0.0, 1.0)


def _line(start: tuple[Any, Any], end: tuple[Any, Any], width: Any) -> Any:
    """Return the coverage of a line with round ends between two points (x, y), each (B, 1, 1)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((_COLUMNS - start[0]) * dx + (_ROWS - start[1]) * dy) / (dx * dx + dy * dy)
    along = ops.clip(along, 0.0, 1.0)
    distance = ops.sqrt((_COLUMNS - start[0] - along * dx) ** 2 + (_ROWS - start[1] - along * dy) ** 2)
    return _soft_edge(width / 2 - distance)


def _ellipse(middle: tuple[Any, Any], radii: tuple[Any, Any]) -> Any:
    """Return the coverage of an ellipse; its edge is about one pixel wide."""
    distance = ops.sqrt(((_COLUMNS - middle[0]) / radii[0]) ** 2 + ((_ROWS - middle[1]) / radii[1]) ** 2)
    return _soft_edge((1 - distance) * ops.minimum(radii[0], radii[1]))
