"""How likely it is that a crop does not show what a label needs: moved during the exposure, covered, too dark or grainy.

A small network on simple measures of the crop: the crop at 12x12 pixels, and the mean differences of neighbouring pixels
in eight directions, and of pixels further apart, over a grid. Direction tells a movement from a soft picture, place tells a mask or
sunglasses from a face. It was fitted on drawn conditions (``training/fitting/visibility.py``) and its weights are
``visibility.npz``, 74 kB. It costs about 0.1 ms a crop and starts no threads. Immutable after loading; any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.face import FACE_SIZE_PX, FaceImage
from ferstream.errors import ModelError

FAULTS: tuple[str, ...] = ("blurred", "occluded", "dark")
"""What the network looks for, in the order of its outputs."""

Floats = npt.NDArray[np.float32]
Part = tuple[slice, slice]

_WEIGHTS = Path(__file__).with_name("visibility.npz")
_THUMB = 12
_GRID = 6
_STEPS = ((1, 0), (0, 1), (1, 1), (-1, 1), (2, 1), (1, 2), (-1, 2), (-2, 1), (3, 0), (0, 3), (3, 3), (-3, 3))
"""Columns and rows between pixels that are compared in each cell of the grid: eight directions nearby, four further away."""
_FURTHER = tuple((right * far, down * far) for right, down in ((1, 0), (0, 1), (1, 1), (-1, 1)) for far in (1, 2, 4, 6))
"""The same for the inner face as a whole: how fast the differences grow with the distance tells how far each pixel was smeared."""
_INNER = slice(6, 44)
_ROWS = 12
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
        # A few rows at a time: BLAS would start threads for the whole matrix.
        rows = range(0, len(self.hidden), _ROWS)
        inner = np.concatenate([self.hidden[row : row + _ROWS] @ values for row in rows]) + self.hidden_bias
        logits = self.output @ np.maximum(inner, 0) + self.output_bias
        blurred, occluded, dark = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).tolist()
        return blurred, occluded, dark


def measures(crop: FaceImage) -> Floats:
    """Return what the network sees of a crop (48, 48) uint8: (F,) float32."""
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(crop))
    contrast = deviation + _NOISE_GREY
    grey = crop.astype(np.float32)
    values = np.empty(_COUNT, np.float32)
    values[: _THUMB * _THUMB] = ((_POOL_THUMB @ grey @ _POOL_THUMB.T - mean) / contrast).ravel()
    values[_THUMB * _THUMB : _HEAD] = mean / 64, np.log(contrast)
    differences = values[_HEAD:]
    for place, (right, down) in enumerate(_STEPS):
        near, far = _NEAR[place]
        steps = cv2.absdiff(grey[near], grey[far])
        np.matmul(_POOL[down] @ steps, _POOL[abs(right)].T, out=differences[place * _CELLS : (place + 1) * _CELLS].reshape(_GRID, _GRID))
    inner = crop[_INNER, _INNER]
    for place, (near, far) in enumerate(_WIDE):
        one = inner[near]
        differences[len(_STEPS) * _CELLS + place] = cv2.norm(one, inner[far], cv2.NORM_L1) / one.size
    np.log(differences / contrast + 0.01, out=differences)
    return values


def _apart(size: int, right: int, down: int) -> tuple[Part, Part]:
    """Return two parts of a square: all pixels that have another one ``right`` columns and ``down`` rows further, and these."""
    rows, columns = size - down, size - abs(right)
    left, far = max(-right, 0), max(right, 0)
    return np.s_[:rows, left : left + columns], np.s_[down:size, far : far + columns]


def _pool(size: int, cells: int) -> Floats:
    """Return the matrix (cells, size) that takes the means of equally long parts, which need not be whole pixels."""
    edges = np.linspace(0, size, cells + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(overlap, 0, None) * cells / size, np.float32)


_POOL_THUMB = _pool(FACE_SIZE_PX, _THUMB)
_POOL = tuple(_pool(FACE_SIZE_PX - less, _GRID) for less in range(4))
_NEAR = tuple(_apart(FACE_SIZE_PX, right, down) for right, down in _STEPS)
_WIDE = tuple(_apart(_INNER.stop - _INNER.start, right, down) for right, down in _FURTHER)
_CELLS = _GRID * _GRID
_HEAD = _THUMB * _THUMB + 2
_COUNT = _HEAD + len(_STEPS) * _CELLS + len(_FURTHER)


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
