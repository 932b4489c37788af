"""How likely it is that a crop does not show what a label needs: moved during the exposure, covered, too dark or grainy.

A small network on simple measures of the crop: the crop at 12x12 pixels, and the mean differences of neighbouring pixels
in eight directions, and of pixels further apart, over a grid. Direction tells a movement from a soft picture, place tells a mask or
sunglasses from a face. It was fitted on drawn conditions (``training/fitting/visibility.py``) and its weights are
``visibility.npz``, 100 kB. It costs about 0.1 ms a crop and uses one thread. Immutable after loading; any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.face import FaceImage
from ferstream.errors import ModelError

FAULTS: tuple[str, ...] = ("blurred", "occluded", "dark")
"""What the network looks for, in the order of its outputs."""

Floats = npt.NDArray[np.float32]

_WEIGHTS = Path(__file__).with_name("visibility.npz")
_THUMB = 12
_GRID = 6
_STEPS = ((1, 0), (0, 1), (1, 1), (-1, 1), (2, 1), (1, 2), (-1, 2), (-2, 1), (3, 0), (0, 3), (3, 3), (-3, 3))
"""Columns and rows between pixels that are compared in each cell of the grid: eight directions nearby, four further away."""
_FURTHER = tuple((right * far, down * far) for right, down in ((1, 0), (0, 1), (1, 1), (-1, 1)) for far in (1, 2, 4, 6))
"""The same for the inner face as a whole: how fast the differences grow with the distance tells how far each pixel was smeared."""
_INNER = slice(6, 44)
_NOISE_GREY = 2.0
"""Grey levels added to the contrast, so that there is no division by zero for a crop of one grey."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """A fitted network: one hidden layer.

    Attributes:
        mean: (F,) float32, subtracted from the measures.
        scale: (F,) float32, the measures are divided by it.
        hidden: (H, F) float32 weights, and ``hidden_bias`` (H,).
        hidden_bias: See ``hidden``.
        output: (3, H) float32 weights, and ``output_bias`` (3,).
        output_bias: See ``output``.
    """

    mean: Floats
    scale: Floats
    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: Floats

    def faults(self, crop: FaceImage) -> tuple[float, float, float]:
        """Return the probability of each of ``FAULTS``, 0..1, for a crop (48, 48) uint8."""
        values = (measures(crop) - self.mean) / self.scale
        # einsum and not matmul: BLAS would start threads.
        inner = np.maximum(np.einsum("hf,f->h", self.hidden, values) + self.hidden_bias, 0)
        logits = np.einsum("oh,h->o", self.output, inner) + self.output_bias
        blurred, occluded, dark = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).tolist()
        return blurred, occluded, dark


def measures(crop: FaceImage) -> Floats:
    """Return what the network sees of a crop (48, 48) uint8: (F,) float32."""
    grey = crop.astype(np.float32)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    contrast = deviation + _NOISE_GREY
    inner = grey[_INNER, _INNER]
    thumb = (cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA) - mean) / contrast
    parts = [thumb.ravel(), np.array([mean / 64, np.log(contrast)], np.float32)]
    for right, down in _STEPS:
        small = cv2.resize(_differences(grey, right, down), (_GRID, _GRID), interpolation=cv2.INTER_AREA)
        parts.append(np.log(small / contrast + 0.01).ravel())
    whole = [cv2.mean(_differences(inner, right, down))[0] for right, down in _FURTHER]
    parts.append(np.log(np.array(whole, np.float32) / contrast + 0.01))
    return np.concatenate(parts).astype(np.float32)


def _differences(grey: Floats, right: int, down: int) -> Floats:
    """Return the absolute differences of all pixels and those ``right`` columns and ``down`` rows further."""
    rows, columns = grey.shape[0] - down, grey.shape[1] - abs(right)
    left, far = max(-right, 0), max(right, 0)
    return np.asarray(cv2.absdiff(grey[:rows, left : left + columns], grey[down:, far : far + columns]), np.float32)


@cache
def load_visibility(path: Path = _WEIGHTS) -> Visibility:
    """Read a fitted network; the file is read once.

    Raises:
        ModelError: The file is missing or has other arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Visibility(**{name: np.asarray(arrays[name], np.float32) for name in Visibility.__dataclass_fields__})
    except (OSError, ValueError, KeyError) as exc:
        raise ModelError(f"{path}: cannot be read as the network of the quality checks; install ferstream again: {exc}") from exc
