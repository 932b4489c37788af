"""Drawn conditions: what a bad picture, or something in front of the face, does to a 48x48 crop.

Evaluation measures a model under each condition (``ferstream evaluate --conditions``), training varies faces with the
same functions. Each takes one crop (48, 48) uint8 and returns a new one; what is random comes from the given generator
only, so that equal seeds draw equal faces. Positions are those of the canonical geometry (``inference/alignment.py``):
eyes at (15, 18) and (32, 18), nose tip at (23.5, 28), mouth corners at (16.5, 36) and (30.5, 36).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ferstream.domain.face import FACE_SIZE_PX

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    Crop = NDArray[np.uint8]

_SUBPIXEL = 4
"""Shapes are drawn this many times larger and shrunk, so that their edges are smooth."""
_CENTRE = (FACE_SIZE_PX - 1) / 2
_EYES = ((14.9, 17.7), (32.1, 17.7))
_MOUTH = (23.5, 36.0)


def motion_blur(face: Crop, length_px: float, angle_deg: float) -> Crop:
    """Blur along a line, as a movement during the exposure does.

    Args:
        face: The crop.
        length_px: Length of the movement in crop pixels; 0 leaves the face as it is.
        angle_deg: Direction: 0 is along the rows, 90 along the columns.
    """
    return np.asarray(cv2.filter2D(face, -1, _line_kernel(length_px, angle_deg), borderType=cv2.BORDER_REPLICATE), np.uint8)


def defocus(face: Crop, sigma_px: float) -> Crop:
    """Blur equally in all directions (Gaussian; sigma in crop pixels, 0 leaves the face as it is)."""
    return face.copy() if sigma_px <= 0 else np.asarray(cv2.GaussianBlur(face, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE), np.uint8)


def shrink(face: Crop, size_px: int) -> Crop:
    """Resample from ``size_px`` pixels a side, as for a face that is small in its picture."""
    small = cv2.resize(face, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_LINEAR), np.uint8)


def light(face: Crop, *, gain: float = 1.0, offset: float = 0.0) -> Crop:
    """Multiply the grey values by ``gain``, add ``offset``, and clip at 0 and 255, as an over- or underexposed sensor does."""
    return np.asarray(np.clip(np.rint(face.astype(np.float32) * gain + offset), 0, 255), np.uint8)


def low_contrast(face: Crop, share: float) -> Crop:
    """Keep this share (0..1) of each grey value's distance from the mean, as behind haze or a dirty window."""
    mean = float(face.mean())
    return light(face, gain=share, offset=mean * (1 - share))


def jpeg(face: Crop, quality: int) -> Crop:
    """Compress as JPEG with this quality (1..100) and decode again."""
    _, data = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def noise(face: Crop, sigma: float, random: Generator) -> Crop:
    """Add Gaussian noise of this standard deviation in grey levels."""
    return np.clip(np.rint(face + random.normal(0.0, sigma, face.shape)), 0, 255).astype(np.uint8)


def rotate(face: Crop, angle_deg: float) -> Crop:
    """Rotate about the centre, clockwise for positive angles."""
    matrix = cv2.getRotationMatrix2D((_CENTRE, _CENTRE), -angle_deg, 1.0)
    size = (FACE_SIZE_PX, FACE_SIZE_PX)
    return np.asarray(cv2.warpAffine(face, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def mask(face: Crop, random: Generator) -> Crop:
    """Draw a face mask: cloth of one grey from the bridge of the nose to the chin, with folds, an upper edge and ear loops."""
    dx, dy = random.uniform(-1.5, 1.5), random.uniform(-2.0, 2.0)
    nose, side, jaw = 24 + dy, 26 + dy + random.uniform(0, 2), 40 + random.uniform(-1, 2)
    half = random.uniform(14.5, 18.5)
    x = 23.5 + dx
    outline = [
        (x - half, side),
        (x - half * 0.55, nose + 1.5),
        (x, nose - random.uniform(0, 2.5)),
        (x + half * 0.55, nose + 1.5),
        (x + half, side),
        (x + half * 0.9, jaw),
        (x + half * 0.45, 47.5),
        (x - half * 0.45, 47.5),
        (x - half * 0.9, jaw),
    ]
    covered = _polygon(outline)
    for direction in (-1, 1):
        covered = np.maximum(covered, _line((x + direction * half, side + 1), (x + direction * 24, side - random.uniform(2, 6)), 0.8))
    return _blend(face, covered, _cloth(random, _grey(random)))


def hand(face: Crop, random: Generator) -> Crop:
    """Draw a hand in front of the mouth: a palm or a fist with fingers, of about the grey of the face's own skin."""
    x, y = _MOUTH[0] + random.uniform(-3, 3), _MOUTH[1] + random.uniform(-1, 3)
    tilt, spread = random.uniform(-50, 50), random.uniform(3.6, 4.8)
    fingers = int(random.integers(3, 5))
    along = np.array([math.cos(math.radians(tilt)), math.sin(math.radians(tilt))])
    across = np.array([-along[1], along[0]])
    side = random.choice([-1.0, 1.0])
    covered, shade = np.zeros(face.shape, np.float32), np.zeros(face.shape, np.float32)
    for finger in range(fingers):
        middle = np.array([x, y]) + across * (finger - (fingers - 1) / 2) * spread
        tip, base = middle - side * along * random.uniform(9, 13), middle + side * along * 26
        part = _line(tuple(tip), tuple(base), spread + 1.2)
        inner = _line(tuple(tip), tuple(base), spread - 1.6)
        covered, shade = np.maximum(covered, part), np.maximum(shade, inner)
    skin = _skin(face) * random.uniform(0.8, 1.15)
    texture = skin - random.uniform(18, 40) * (1 - shade) + _slope(random, 14) + random.normal(0, 2, face.shape)
    return _blend(face, covered, texture)


def sunglasses(face: Crop, random: Generator) -> Crop:
    """Draw dark glasses: two lenses over the eyes, a bridge, side bars, and sometimes a reflection."""
    dx, dy = random.uniform(-1.0, 1.0), random.uniform(-1.0, 1.5)
    wide, high = random.uniform(6.2, 8.2), random.uniform(4.6, 6.6)
    lenses = np.zeros(face.shape, np.float32)
    for eye_x, eye_y in _EYES:
        lenses = np.maximum(lenses, _ellipse((eye_x + dx, eye_y + dy + 0.5), (wide, high)))
    left, right = (_EYES[0][0] + dx, _EYES[0][1] + dy - 1), (_EYES[1][0] + dx, _EYES[1][1] + dy - 1)
    bars = np.maximum(_line(left, right, 1.6), _line((0, left[1] - 1), left, 1.4))
    covered = np.maximum(lenses, np.maximum(bars, _line(right, (47, right[1] - 1), 1.4)))
    texture = random.uniform(8, 55) + _slope(random, 10) + random.normal(0, 1.5, face.shape)
    if random.random() < 0.4:
        strength = random.uniform(40, 120)
        for x, y in (left, right):
            texture = texture + strength * _line((x - 3, y + 3), (x + 2, y - 3), 1.5)
    return _blend(face, covered, texture)


def cover_lower_face(face: Crop, random: Generator) -> Crop:
    """Cover the face below a line near the nose with one grey: a scarf, a cup, a microphone, the edge of the picture."""
    edge = random.uniform(25, 33)
    lean = random.uniform(-5, 5)
    covered = _polygon([(-1, edge + lean), (48, edge - lean), (48, 49), (-1, 49)])
    return _blend(face, covered, _cloth(random, _grey(random)))


def cover(face: Crop, random: Generator, *, part: str, other: Crop | None = None) -> Crop:
    """Cover one part of the face with something of any shape: an ellipse, a tilted rectangle or a rough outline.

    Args:
        face: The crop.
        random: Draws the shape, its place and its surface.
        part: ``mouth``, ``eyes``, or ``beside``: a corner or the forehead, which leaves mouth and eyes free.
        other: A picture (48, 48) whose pixels become the surface; None for one grey.
    """
    x, y, wide, high = _PLACES[part](random)
    corners = int(random.choice([4, 7, 24]))
    tilt = math.radians(random.uniform(-25, 25))
    outline = []
    for corner in range(corners):
        angle = 2 * math.pi * (corner + 0.5) / corners
        reach = (math.sqrt(2) if corners == 4 else 1.0) * (random.uniform(0.9, 1.25) if corners == 7 else 1.0)
        right, down = wide * reach * math.cos(angle), high * reach * math.sin(angle)
        outline.append((x + right * math.cos(tilt) - down * math.sin(tilt), y + right * math.sin(tilt) + down * math.cos(tilt)))
    surface = random.choice(["skin", "grey", "picture"])
    if surface == "picture" and other is not None:
        texture = other.astype(np.float64)
    elif surface == "skin":
        texture = _skin(face) * random.uniform(0.75, 1.2) + _slope(random, 30) + random.normal(0, random.uniform(0, 4), face.shape)
    else:
        texture = random.uniform(5, 250) + random.choice([0.0, 1.0]) * (_slope(random, 30) + random.normal(0, 2, face.shape))
    return _blend(face, _polygon(outline), np.asarray(texture, np.float64) + np.zeros(face.shape))


def spectacles(face: Crop, random: Generator) -> Crop:
    """Draw clear glasses: thin frames through which the eyes are seen."""
    wide, high = random.uniform(6, 8), random.uniform(4.5, 6.5)
    frame, dy = np.zeros(face.shape, np.float32), random.uniform(-1, 1.5)
    for eye_x, eye_y in _EYES:
        outer = _ellipse((eye_x, eye_y + dy), (wide, high))
        frame = np.maximum(frame, outer - _ellipse((eye_x, eye_y + dy), (wide - random.uniform(0.6, 1.3), high - 1.0)))
    frame = np.maximum(frame, _line((_EYES[0][0] + wide, 17 + dy), (_EYES[1][0] - wide, 17 + dy), 1.0))
    return _blend(face, np.clip(frame, 0, 1), np.full(face.shape, random.uniform(10, 120)))


_PLACES: dict[str, Callable[[Generator], tuple[float, float, float, float]]] = {
    "mouth": lambda random: (
        23.5 + random.uniform(-2.5, 2.5), 37 + random.uniform(-2, 3), random.uniform(10, 17), random.uniform(6.5, 12)
    ),
    "eyes": lambda random: (
        23.5 + random.uniform(-2, 2), 17.7 + random.uniform(-1.5, 1.5), random.uniform(15, 22), random.uniform(4, 8)
    ),
    "beside": lambda random: (
        float(random.choice([1.0, 46.0])), random.uniform(0, 48), random.uniform(2, 7), random.uniform(2, 16)
    ),
}  # fmt: skip
"""Draws centre (x, y) and half width and height of what covers a part."""


def _line_kernel(length_px: float, angle_deg: float) -> NDArray[np.float32]:
    """Return a kernel with the weight 1 spread evenly over a line through its middle."""
    radius = max(1, math.ceil(length_px / 2) + 1)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    if length_px <= 0:
        kernel[radius, radius] = 1
        return kernel
    steps = np.linspace(-length_px / 2, length_px / 2, max(2, math.ceil(8 * length_px)))
    x = radius + steps * math.cos(math.radians(angle_deg))
    y = radius + steps * math.sin(math.radians(angle_deg))
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, down = x - left, y - top
    np.add.at(kernel, (top, left), (1 - right) * (1 - down))
    np.add.at(kernel, (top, left + 1), right * (1 - down))
    np.add.at(kernel, (top + 1, left), (1 - right) * down)
    np.add.at(kernel, (top + 1, left + 1), right * down)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _canvas() -> NDArray[np.uint8]:
    return np.zeros((FACE_SIZE_PX * _SUBPIXEL, FACE_SIZE_PX * _SUBPIXEL), np.uint8)


def _reduced(canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return coverage (48, 48) float32, 0..1."""
    return np.asarray(cv2.resize(canvas, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_AREA) / 255, np.float32)


def _fine(x: float, y: float) -> tuple[int, int]:
    return round((x + 0.5) * _SUBPIXEL), round((y + 0.5) * _SUBPIXEL)


def _polygon(points: list[tuple[float, float]]) -> NDArray[np.float32]:
    canvas = _canvas()
    cv2.fillPoly(canvas, [np.array([_fine(x, y) for x, y in points], np.int32)], 255)
    return _reduced(canvas)


def _line(start: tuple[float, ...], end: tuple[float, ...], width: float) -> NDArray[np.float32]:
    """Return the coverage of a line with round ends."""
    canvas = _canvas()
    cv2.line(canvas, _fine(start[0], start[1]), _fine(end[0], end[1]), 255, max(1, round(width * _SUBPIXEL)))
    return _reduced(canvas)


def _ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> NDArray[np.float32]:
    canvas = _canvas()
    axes = (round(radii[0] * _SUBPIXEL), round(radii[1] * _SUBPIXEL))
    cv2.ellipse(canvas, _fine(*centre), axes, 0, 0, 360, 255, -1)
    return _reduced(canvas)


def _slope(random: Generator, most: float) -> NDArray[np.float64]:
    """Return a plane (48, 48) of grey values that rises in a random direction, at most ``most`` at the edges."""
    rows, columns = np.mgrid[:FACE_SIZE_PX, :FACE_SIZE_PX] / _CENTRE - 1
    angle = random.uniform(0, 2 * math.pi)
    return np.asarray(random.uniform(0, most) * (rows * math.sin(angle) + columns * math.cos(angle)) / math.sqrt(2), np.float64)


def _grey(random: Generator) -> float:
    """Return the grey of a cloth: white and light blue masks are the most frequent, black ones follow."""
    return float(random.uniform(165, 240) if random.random() < 0.65 else random.uniform(20, 165))


def _cloth(random: Generator, grey: float) -> NDArray[np.float64]:
    """Return a cloth (48, 48): one grey, unevenly lit, with folds across and a little grain."""
    rows = np.mgrid[:FACE_SIZE_PX, :FACE_SIZE_PX][0]
    folds = random.uniform(0, 9) * np.cos(rows * 2 * math.pi / random.uniform(4, 9) + random.uniform(0, 6))
    return np.asarray(grey + folds + _slope(random, 25) + random.normal(0, 1.5, rows.shape), np.float64)


def _skin(face: Crop) -> float:
    """Return the usual grey of the cheeks and the nose."""
    return float(np.median(face[20:34, 12:36]))


def _blend(face: Crop, covered: NDArray[np.float32], texture: NDArray[np.float64]) -> Crop:
    mixed = face * (1 - covered) + texture * covered
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
