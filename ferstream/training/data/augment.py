"""Augmentation of 48x48 grey faces in numpy and OpenCV, so that it is the same on every Keras backend.

It costs about 40 us a face, a few per cent of a training step. The caller passes a random generator per batch,
seeded by (seed, epoch, batch): a resumed run draws the same faces as an uninterrupted one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ferstream.domain.face import FACE_SIZE_PX

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

_CENTRE = (FACE_SIZE_PX - 1) / 2

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A share or a probability, 0 to 1."""


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True))
class Augmentation:
    """How strongly faces are varied. 0 turns a kind off. A value out of range raises pydantic's ``ValidationError``.

    Attributes:
        flip: Whether half of the faces are mirrored.
        rotate_deg: Largest rotation in degrees, clockwise or counter-clockwise.
        shift_px: Largest shift in pixels, along each axis.
        scale: Largest relative change of size; 0.15 draws from 0.85 to 1.15.
        contrast: Largest relative change of contrast; 0.3 draws from 0.7 to 1.3.
        gamma: Largest change of log2 of the gamma exponent.
        erase: Probability that a rectangle is covered.
        soften: Probability of a blur, or of resampling from fewer pixels, which makes a face look like a small live one.
        noise: Probability of Gaussian noise.
    """

    flip: bool = True
    rotate_deg: Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)] = 15.0
    shift_px: Annotated[float, Field(ge=0, le=FACE_SIZE_PX, allow_inf_nan=False)] = 4.0
    scale: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.15
    contrast: Fraction = 0.3
    gamma: Annotated[float, Field(ge=0, le=8, allow_inf_nan=False)] = 0.5
    erase: Fraction = 0.4
    soften: Fraction = 0.2
    noise: Fraction = 0.1

    def __call__(self, faces: NDArray[np.uint8], random: Generator) -> NDArray[np.uint8]:
        """Return varied copies of ``faces`` (N, 48, 48) uint8; each face gets its own random values."""
        return np.stack([self._one(face, random) for face in faces])

    def _one(self, face: NDArray[np.uint8], random: Generator) -> NDArray[np.uint8]:
        varied = self._warp(face, random)
        if random.random() < self.soften:
            varied = _soften(varied, random)
        varied = self._light(varied, random)
        if random.random() < self.noise:
            grain = random.normal(0.0, random.uniform(2.0, 8.0), varied.shape)
            varied = np.clip(varied + grain, 0, 255).astype(np.uint8)
        if random.random() < self.erase:
            _erase(varied, random)
        return varied

    def _warp(self, face: NDArray[np.uint8], random: Generator) -> NDArray[np.uint8]:
        angle = random.uniform(-self.rotate_deg, self.rotate_deg)
        zoom = 1.0 + random.uniform(-self.scale, self.scale)
        matrix = np.asarray(cv2.getRotationMatrix2D((_CENTRE, _CENTRE), angle, zoom), np.float64)
        matrix[:, 2] += random.uniform(-self.shift_px, self.shift_px, 2)
        if self.flip and random.random() < 0.5:
            matrix[0] *= -1.0
            matrix[0, 2] += FACE_SIZE_PX - 1
        warped = cv2.warpAffine(face, matrix, (FACE_SIZE_PX, FACE_SIZE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.uint8)

    def _light(self, face: NDArray[np.uint8], random: Generator) -> NDArray[np.uint8]:
        gain = 1.0 + random.uniform(-self.contrast, self.contrast)
        exponent = 2.0 ** random.uniform(-self.gamma, self.gamma)
        bias = random.uniform(-0.1, 0.1) * (self.contrast > 0)
        greys = (np.arange(256) / 255.0) ** exponent
        curve = np.clip(np.rint(((greys - 0.5) * gain + 0.5 + bias) * 255.0), 0, 255).astype(np.uint8)
        return np.asarray(curve[face], np.uint8)


def _soften(face: NDArray[np.uint8], random: Generator) -> NDArray[np.uint8]:
    """Blur a face, or shrink and enlarge it."""
    if random.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(face, (0, 0), random.uniform(0.4, 1.2)), np.uint8)
    size = int(random.integers(22, 44))
    small = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_LINEAR), np.uint8)


def _erase(face: NDArray[np.uint8], random: Generator) -> None:
    """Fill a rectangle of 4 to 16 pixels a side with one grey value, in place."""
    height, width = random.integers(4, 17, 2)
    top = random.integers(0, FACE_SIZE_PX - height + 1)
    left = random.integers(0, FACE_SIZE_PX - width + 1)
    face[top : top + height, left : left + width] = random.integers(0, 256)
