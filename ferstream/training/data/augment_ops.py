"""Augmentation of a batch of faces by ``keras.ops``: compiled into the training step, on the device that trains.

It runs on TensorFlow, JAX and torch. The order is that of a camera: something covers the face, the head moves or its
landmarks are wrong, the lens and the movement blur, the light changes, the sensor adds noise.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.inference.alignment import CANONICAL
from ferstream.training.data import occlusion_ops
from ferstream.training.data.device_augmentation import DeviceAugmentation
from ferstream.training.data.random_ops import Draws

_CENTRE = (FACE_SIZE_PX - 1) / 2
_SHRUNK_PX = (16, 20, 24, 28, 34, 40)
_BLUR_SIGMAS_PX = (0.5, 0.8, 1.1, 1.5)
_MOTION_ROUNDS = 3
_DRAWS = 40 + occlusion_ops.DRAWS
_MAX_SEED = 2**31 - 1


class FaceAugmenter(keras.layers.Layer):  # type: ignore[misc]
    """Varies faces: (B, 48, 48) in, 0..255; the same shape out as float32, 0..255. Each face gets its own random values."""

    def __init__(self, settings: DeviceAugmentation | None, seed: int = 1) -> None:
        """Use these settings; None leaves faces unchanged. ``seed`` is that of the first batch."""
        super().__init__(dtype="float32", name="augmenter", trainable=False)
        self._settings = settings
        self._random = keras.random.SeedGenerator(seed)

    def restart(self, seed: int, epoch: int) -> None:
        """Draw the random values of an epoch from here on: they depend on the seed, the epoch (from 0) and the backend only."""
        mixed = int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]) % _MAX_SEED
        self._random.state.assign(ops.convert_to_tensor([mixed, 0], dtype=self._random.state.dtype))

    def call(self, faces: Any) -> Any:
        """Return varied copies of the faces."""
        faces = ops.cast(faces, "float32")
        if self._settings is None:
            return faces
        settings, count = self._settings, ops.shape(faces)[0]
        draws = Draws(keras.random.uniform((count, _DRAWS), dtype="float32", seed=self._random))
        errors = keras.random.normal((count, len(CANONICAL), 2), dtype="float32", seed=self._random)
        grain = keras.random.normal((count, FACE_SIZE_PX, FACE_SIZE_PX), dtype="float32", seed=self._random)
        faces = occlusion_ops.occlude(faces, settings, draws)
        faces = _warp(faces, settings, draws, settings.landmark_px * errors)
        faces = _soften(faces, settings.soften, draws)
        faces = _move(faces, settings, draws)
        faces = _light(faces, settings, draws)
        faces = faces + grain * ops.where(draws.happens(settings.noise), draws.between(0, 8), 0.0)
        faces = occlusion_ops.erase(faces, settings.erase, draws)
        return ops.clip(faces, 0.0, 255.0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the faces."""
        return input_shape


def sample(faces: Any, x: Any, y: Any) -> Any:
    """Return the grey values of faces (B, 48, 48) float32 at points (B, 48, 48), bilinear; beyond the edge its values are repeated."""
    shape = ops.shape(faces)
    last = FACE_SIZE_PX - 1
    x, y = ops.clip(x, 0.0, last), ops.clip(y, 0.0, last)
    left, top = ops.clip(ops.floor(x), 0.0, last - 1), ops.clip(ops.floor(y), 0.0, last - 1)
    right_share, low_share = x - left, y - top
    flat = ops.reshape(faces, (shape[0], FACE_SIZE_PX * FACE_SIZE_PX))
    first = ops.reshape(ops.cast(top * FACE_SIZE_PX + left, "int32"), ops.shape(flat))

    def at(offset: int) -> Any:
        return ops.reshape(ops.take_along_axis(flat, first + offset, axis=1), shape)

    upper = at(0) * (1 - right_share) + at(1) * right_share
    lower = at(FACE_SIZE_PX) * (1 - right_share) + at(FACE_SIZE_PX + 1) * right_share
    return upper * (1 - low_share) + lower * low_share


def realigned(x: Any, y: Any, errors: Any) -> tuple[Any, Any]:
    """Return where points of a crop lie in the crop that alignment by the right landmarks would give.

    Args:
        x: Columns in the crop that was aligned by wrong landmarks.
        y: Rows there.
        errors: (B, 5, 2) float32, error of each landmark in pixels of the crop.
    """
    goals = np.array(CANONICAL, np.float32)
    middle = goals.mean(axis=0)
    goals = goals - middle
    found = goals[None] + errors
    found_middle = ops.mean(found, axis=1, keepdims=True)
    found = found - found_middle
    # As in similarity() of inference/alignment.py: complex numbers, goal = ratio x found. Here its inverse is needed.
    real = ops.sum(found[..., 0] * goals[:, 0] + found[..., 1] * goals[:, 1], axis=1)[:, None, None]
    imaginary = ops.sum(found[..., 0] * goals[:, 1] - found[..., 1] * goals[:, 0], axis=1)[:, None, None]
    scale = ops.sum(found**2, axis=(1, 2))[:, None, None] / (real**2 + imaginary**2)
    along, across = scale * real, -scale * imaginary
    x, y = x - middle[0], y - middle[1]
    to_x, to_y = middle[0] + found_middle[..., :1], middle[1] + found_middle[..., 1:]
    return along * x - across * y + to_x, across * x + along * y + to_y


def _warp(faces: Any, settings: DeviceAugmentation, draws: Draws, errors: Any) -> Any:
    """Rotate, scale, shift, shear, tilt and mirror faces, as if their landmarks had these errors (B, 5, 2)."""
    rows, columns = np.mgrid[:FACE_SIZE_PX, :FACE_SIZE_PX].astype(np.float32)[:, None] - _CENTRE
    mirror = draws.sign() if settings.flip else 1.0
    angle, size = draws.around(math.radians(settings.rotate_deg)), 1.0 + draws.around(settings.scale)
    shear_x, stretch = draws.around(settings.shear), 1.0 + draws.around(0.75 * settings.shear)
    depth = 1 + (draws.around(settings.perspective) * columns + draws.around(settings.perspective) * rows) / _CENTRE
    u, v = columns * mirror / depth, rows / depth
    x = (ops.cos(angle) * u * stretch - ops.sin(angle) * v + shear_x * v) / size
    y = (ops.sin(angle) * u + ops.cos(angle) * v / stretch) / size
    x, y = x + draws.around(settings.shift_px) + _CENTRE, y + draws.around(settings.shift_px) + _CENTRE
    return sample(faces, *realigned(x, y, errors))


def _soften(faces: Any, probability: float, draws: Draws) -> Any:
    """Blur faces, or resample them from fewer pixels. Both are products with a matrix on each side."""
    bank = _softening_matrices()
    kind = ops.cast(ops.floor(draws.between(1, len(bank) - 1e-3)), "int32")
    chosen = ops.where(draws.happens(probability), kind, 0)[:, 0, 0]
    matrices = ops.take(ops.convert_to_tensor(bank), chosen, axis=0)
    return _on_both_sides(matrices, faces, matrices)


def _move(faces: Any, settings: DeviceAugmentation, draws: Draws) -> Any:
    """Blur faces along a line of random length and direction."""
    length = ops.where(draws.happens(settings.motion_blur), draws.between(1, max(1.0, settings.motion_px)), 0.0)
    return motion_blur(faces, length, draws.between(0, math.pi)) if settings.motion_blur > 0 else faces


def motion_blur(faces: Any, length: Any, angle: Any) -> Any:
    """Blur faces (B, 48, 48) along lines of ``length`` pixels and ``angle`` radians, both (B, 1, 1): the mean of 8 shifted copies.

    Each round averages two copies that are shifted in opposite directions, which doubles the number of copies.
    """
    for part in range(2, 2 + _MOTION_ROUNDS):
        dx, dy = length * ops.cos(angle) / 2**part, length * ops.sin(angle) / 2**part
        faces = (_shifted(faces, dx, dy) + _shifted(faces, -dx, -dy)) / 2
    return faces


def _light(faces: Any, settings: DeviceAugmentation, draws: Draws) -> Any:
    exponent = 2.0 ** draws.around(settings.gamma)
    faces = 255.0 * (ops.clip(faces, 0.0, 255.0) / 255.0 + 1e-4) ** exponent
    mean = ops.mean(faces, axis=(1, 2), keepdims=True)
    faces = (faces - mean) * (1.0 + draws.around(settings.contrast)) + mean + draws.around(settings.brightness)
    return faces + occlusion_ops.slope(draws, settings.slope)


def _shifted(faces: Any, dx: Any, dy: Any) -> Any:
    """Return faces whose pixel (x, y) shows what lay at (x + dx, y + dy)."""
    return _on_both_sides(_shift_matrix(dy), faces, _shift_matrix(dx))


def _shift_matrix(distance: Any) -> Any:
    """Return matrices (B, 48, 48) that interpolate each row at its place plus ``distance`` (B, 1, 1); the edge is repeated."""
    places = np.arange(FACE_SIZE_PX, dtype=np.float32)
    wanted = ops.clip(places[None, :, None] + distance, 0.0, FACE_SIZE_PX - 1.0)
    return ops.relu(1.0 - ops.abs(places[None, None, :] - wanted))


def _on_both_sides(rows: Any, faces: Any, columns: Any) -> Any:
    return ops.matmul(ops.matmul(rows, faces), ops.transpose(columns, (0, 2, 1)))


def _softening_matrices() -> npt.NDArray[np.float32]:
    """Return one matrix (48, 48) for each kind of softening; the first leaves faces unchanged."""
    shrunk = [_enlarging(size) @ _shrinking(size) for size in _SHRUNK_PX]
    return np.stack([np.eye(FACE_SIZE_PX), *shrunk, *map(_blurring, _BLUR_SIGMAS_PX)]).astype(np.float32)


def _shrinking(size: int) -> npt.NDArray[np.float64]:
    """Return the matrix (size, 48) that averages areas."""
    edges = np.linspace(0, FACE_SIZE_PX, size + 1)
    pixels = np.arange(FACE_SIZE_PX)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlap, 0) * size / FACE_SIZE_PX)


def _enlarging(size: int) -> npt.NDArray[np.float64]:
    """Return the matrix (48, size) that interpolates between pixels; the edge is repeated."""
    wanted = np.clip((np.arange(FACE_SIZE_PX) + 0.5) * size / FACE_SIZE_PX - 0.5, 0, size - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(np.arange(size) - wanted[:, None])))


def _blurring(sigma: float) -> npt.NDArray[np.float64]:
    """Return the matrix (48, 48) of a Gaussian blur; the edge is repeated."""
    reach = math.ceil(4 * sigma)
    matrix = np.zeros((FACE_SIZE_PX, FACE_SIZE_PX))
    for offset in range(-reach, reach + 1):
        places = np.clip(np.arange(FACE_SIZE_PX) + offset, 0, FACE_SIZE_PX - 1)
        np.add.at(matrix, (np.arange(FACE_SIZE_PX), places), math.exp(-0.5 * (offset / sigma) ** 2))
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))
