"""Drawn grey 48x48 faces for training tests: one pattern per label, with noise, that a small network can learn."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_SHAPES = ((0.0, 4), (25.0, 4), (-25.0, 4), (0.0, 9), (180.0, 9), (0.0, 1), (90.0, 6))
"""Angle of the brows in degrees and half the height of the mouth in pixels, by label."""


def draw_faces(labels: npt.NDArray[np.int64], *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return (N, 48, 48) uint8, one face per label in (N,); no two are equal."""
    random = np.random.default_rng(seed)
    return np.stack([_draw(*_SHAPES[label], random) for label in labels])


def _draw(tilt: float, mouth: int, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    face = np.full((48, 48), 60, np.uint8)
    cv2.ellipse(face, (24, 25), (17, 21), 0, 0, 360, 190, -1)
    for x, sign in ((15, 1), (33, -1)):
        cv2.ellipse(face, (x, 15), (6, 1), sign * tilt, 0, 360, 30, -1)
        cv2.circle(face, (x, 20), 3, 40, -1)
    cv2.ellipse(face, (24, 37), (8, mouth), 0, 0, 180 if mouth > 4 else 360, 20, -1)
    noisy = face + random.normal(0, 6, face.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)
