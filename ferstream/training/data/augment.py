"""Augmentation of 48x48 grey faces, in numpy and OpenCV: the same on every Keras backend.

Costs about 40 us a face, a few per cent of a training step. Each batch gets its own generator,
seeded by (seed, epoch, batch), so a resumed run sees what an uninterrupted one would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.training.ranges import SHARE, Range, check_ranges

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

_RANGES = {
    "rotate_deg": Range(0, 180),
    "shift_px": Range(0, FACE_SIZE_PX),
    "scale": Range(0, 1, below=True),
    "gamma": Range(0, 8),
    **dict.fromkeys(("contrast", "erase", "soften", "noise"), SHARE),
}
_CENTRE = (FACE_SIZE_PX - 1) / 2


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly faces are varied; 0 turns a kind off.

    ``rotate_deg``, ``shift_px`` and ``scale`` are half ranges around none; ``contrast`` is the
    half range of the gain and ``gamma`` of log2 of the exponent; ``erase``, ``soften`` (blur or
    resampling from fewer pixels, as small live faces look) and ``noise`` are probabilities.
    """

    flip: bool = True
    rotate_deg: float = 15.0
    shift_px: float = 4.0
    scale: float = 0.15
    contrast: float = 0.3
    gamma: float = 0.5
    erase: float = 0.4
    soften: float = 0.2
    noise: float = 0.1

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges(self, _RANGES)

    def __call__(self, faces: NDArray[np.uint8], random: Generator) -> NDArray[np.uint8]:
        """Return varied copies of ``faces`` (N, 48, 48) uint8, each drawn on its own."""
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
    """Blur a face, or let it pass through fewer pixels."""
    if random.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(face, (0, 0), random.uniform(0.4, 1.2)), np.uint8)
    size = int(random.integers(22, 44))
    small = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_LINEAR), np.uint8)


def _erase(face: NDArray[np.uint8], random: Generator) -> None:
    """Cover a rectangle of 4 to 16 pixels a side with one grey, in place."""
    height, width = random.integers(4, 17, 2)
    top = random.integers(0, FACE_SIZE_PX - height + 1)
    left = random.integers(0, FACE_SIZE_PX - width + 1)
    face[top : top + height, left : left + width] = random.integers(0, 256)
