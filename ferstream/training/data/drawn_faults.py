"""Faces with drawn faults, and what is wrong with each: the examples that the quality checks of crops are fitted on.

The faces are first varied as live crops vary: mirrored, misplaced by a few pixels, soft, darker or brighter, grainy.
About a third of them stay as they are; some get what looks like a fault and is none (spectacles, something beside the face).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ferstream.detection.visibility import FAULTS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.training.data import conditions

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Crop = NDArray[np.uint8]
    Draw = Callable[[Crop, Crop, Generator], tuple[Crop, str | None]]

_CENTRE = (FACE_SIZE_PX - 1) / 2
_UNSURE = -1.0


def draw_faults(faces: NDArray[np.uint8], random: Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw one example from each face.

    Args:
        faces: (N, 48, 48) uint8.
        random: Draws everything.

    Returns:
        The examples (N, 48, 48) uint8; and (N, 3) float32 whether each has each of ``FAULTS``: 1, 0, or -1 where it does not matter.
    """
    drawn = np.empty_like(faces)
    faults = np.zeros((len(faces), len(FAULTS)), np.float32)
    for index, face in enumerate(faces):
        other = faces[int(random.integers(len(faces)))]
        drawn[index], faults[index] = _example(face, other, random)
    return drawn, faults


def _example(face: Crop, other: Crop, random: Generator) -> tuple[Crop, NDArray[np.float32]]:
    draw = _DRAWS[_NAMES[int(random.integers(len(_NAMES)))]] if random.random() < 0.7 else None
    # A movement cannot be told in a picture that is very soft, where it does no harm of its own.
    crop = _varied(face, random, most_soft=0.7 if draw is _moved else 1.5)
    fault: str | None = None
    if draw is not None:
        crop, fault = draw(crop, other, random)
    flags = np.zeros(len(FAULTS), np.float32)
    if fault is not None and fault in FAULTS:
        flags[FAULTS.index(fault)] = 1
    if fault == "unsure":
        flags[:] = (_UNSURE, 0, _UNSURE)
    return crop, flags


def _varied(face: Crop, random: Generator, *, most_soft: float) -> Crop:
    matrix = np.asarray(cv2.getRotationMatrix2D((_CENTRE, _CENTRE), random.uniform(-12, 12), random.uniform(0.9, 1.12)), np.float64)
    matrix[:, 2] += random.uniform(-2, 2, 2)
    if random.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += FACE_SIZE_PX - 1
    size = (FACE_SIZE_PX, FACE_SIZE_PX)
    if random.random() < 0.7:
        face = np.asarray(cv2.warpAffine(face, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    face = _softened(face, random, most_soft)
    if random.random() < 0.4:
        face = conditions.light(face, gain=random.uniform(0.4, 1.6), offset=random.uniform(-30, 90))
    if random.random() < 0.2:
        face = conditions.jpeg(face, int(random.integers(10, 90)))
    return conditions.noise(face, random.uniform(0, 7), random) if random.random() < 0.25 else face


def _softened(face: Crop, random: Generator, most: float) -> Crop:
    """Make two thirds of the faces as soft as those of cameras are, equally in all directions."""
    kind = random.random()
    if kind < 0.4:
        return conditions.defocus(face, random.uniform(0.3, most))
    return conditions.shrink(face, int(random.integers(round(22 / most), 44))) if kind < 0.65 else face


def _moved(face: Crop, _: Crop, random: Generator) -> tuple[Crop, str | None]:
    length = random.uniform(0.5, 12) if random.random() < 0.5 else random.uniform(3, 9)
    moved = conditions.motion_blur(face, length, random.uniform(0, 180))
    if length < 1.5:
        return moved, None
    return moved, "blurred" if length >= 3 else "unsure"


def _dim(face: Crop, _: Crop, random: Generator) -> tuple[Crop, str | None]:
    """Take the light or the contrast away, and add the grain of the sensor; what counts is the grain relative to the contrast."""
    share = float(np.exp(random.uniform(np.log(0.015), np.log(0.6))))
    flat = conditions.light(face, gain=share) if random.random() < 0.6 else conditions.low_contrast(face, share)
    grain = float(random.choice([0.0, random.uniform(0, 4), random.uniform(8, 45)]))
    dim = conditions.noise(flat, grain, random)
    # Rounding to whole grey levels is a grain of 0.3.
    ratio = share * float(face.std()) / max(0.6, grain)
    if ratio < 2.2:
        return dim, "dark"
    return dim, "unsure" if ratio < 4 else None


def _not_a_face(_: Crop, other: Crop, random: Generator) -> tuple[Crop, str | None]:
    """Enlarge a part of a picture that is not a whole face."""
    size = int(random.integers(14, 26))
    top, left = random.integers(0, FACE_SIZE_PX - size, 2)
    part = other[top : top + size, left : left + size]
    if random.random() < 0.4:
        part = np.rot90(part, int(random.integers(1, 4)))
    larger = cv2.resize(np.ascontiguousarray(part), (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger, np.uint8), "occluded"


def _covered(draw: Callable[[Crop, Generator], Crop], fault: str | None) -> Draw:
    return lambda face, _, random: (draw(face, random), fault)


_DRAWS: dict[str, Draw] = {
    "moved": _moved,
    "moved much": _moved,
    "moved more": _moved,
    "moved most": _moved,
    "dim": _dim,
    "mask": _covered(conditions.mask, "occluded"),
    "hand": _covered(conditions.hand, "occluded"),
    "hand again": _covered(conditions.hand, "occluded"),
    "sunglasses": _covered(conditions.sunglasses, "occluded"),
    "scarf": _covered(conditions.cover_lower_face, "occluded"),
    "mouth": lambda face, other, random: (conditions.cover(face, random, part="mouth", other=other), "occluded"),
    "eyes": lambda face, other, random: (conditions.cover(face, random, part="eyes", other=other), "occluded"),
    "no face": _not_a_face,
    "beside": lambda face, other, random: (conditions.cover(face, random, part="beside", other=other), None),
    "spectacles": _covered(conditions.spectacles, None),
}
"""What is drawn, each with the same probability."""
_NAMES = tuple(_DRAWS)
