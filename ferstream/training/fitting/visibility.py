"""Fit the network of the quality checks (``detection/visibility.py``) on faces with drawn faults. numpy only, about two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ferstream.detection.visibility import FAULTS, Visibility, measures
from ferstream.training.data.drawn_faults import draw_faults

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_BATCH = 256
_RATE = 2e-3
_DECAY = 1e-4
_BETA1, _BETA2 = 0.9, 0.999


def draw_examples(faces: NDArray[np.uint8], *, rounds: int, seed: int) -> tuple[Floats, Floats]:
    """Draw faults on faces (N, 48, 48) uint8, ``rounds`` times each.

    Returns:
        The measures (N * rounds, F) float32, and the faults (N * rounds, 3): 1, 0, or -1 for "does not matter".
    """
    seen, faults = [], []
    for number in range(rounds):
        drawn, flags = draw_faults(faces, np.random.default_rng([seed, number]))
        seen.append(np.stack([measures(crop) for crop in drawn]))
        faults.append(flags)
    return np.concatenate(seen), np.concatenate(faults)


def fit(examples: Floats, faults: Floats, *, hidden: int = 64, epochs: int = 22, seed: int = 0) -> Visibility:
    """Fit one hidden layer by Adam with a cosine schedule.

    Args:
        examples: (N, F) float32 measures.
        faults: (N, 3) float32: 1, 0, or -1 for "does not matter".
        hidden: Width of the hidden layer.
        epochs: Passes over the examples.
        seed: Draws the initial weights and the order.
    """
    random = np.random.default_rng(seed)
    mean, scale = examples.mean(axis=0), examples.std(axis=0) + 1e-3
    inputs = ((examples - mean) / scale).astype(np.float32)
    weights = _initial(inputs.shape[1], hidden, random)
    moments = [(np.zeros_like(weight), np.zeros_like(weight)) for weight in weights]
    steps = epochs * (len(inputs) // _BATCH)
    for step in range(steps):
        rows = random.integers(0, len(inputs), _BATCH)
        noisy = inputs[rows] + random.normal(0, 0.1, (_BATCH, inputs.shape[1])).astype(np.float32)
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        _update(weights, _gradients(weights, noisy, faults[rows]), moments, rate=float(rate), step=step + 1)
    return Visibility(mean, scale, weights[0], weights[1], weights[2], weights[3])


def save(network: Visibility, path: Path) -> None:
    """Write the weights as float16, which changes no probability by more than 0.01."""
    arrays = {name: np.asarray(getattr(network, name), np.float16) for name in Visibility.__dataclass_fields__}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _initial(inputs: int, hidden: int, random: Generator) -> list[Floats]:
    first = random.normal(0, np.sqrt(2 / inputs), (hidden, inputs)).astype(np.float32)
    last = random.normal(0, np.sqrt(1 / hidden), (len(FAULTS), hidden)).astype(np.float32)
    return [first, np.zeros(hidden, np.float32), last, np.zeros(len(FAULTS), np.float32)]


def _gradients(weights: list[Floats], inputs: Floats, faults: Floats) -> list[Floats]:
    """Return the gradients of the mean binary cross entropy over the entries that matter."""
    first, first_bias, last, last_bias = weights
    inner = np.maximum(inputs @ first.T + first_bias, 0)
    answers = 1 / (1 + np.exp(-np.clip(inner @ last.T + last_bias, -30, 30)))
    error = np.where(faults >= 0, answers - faults, 0).astype(np.float32) / len(inputs)
    back = (error @ last) * (inner > 0)
    return [back.T @ inputs + _DECAY * first, back.sum(axis=0), error.T @ inner + _DECAY * last, error.sum(axis=0)]


def _update(weights: list[Floats], gradients: list[Floats], moments: list[tuple[Floats, Floats]], *, rate: float, step: int) -> None:
    for weight, gradient, (mean, square) in zip(weights, gradients, moments, strict=True):
        np.add(mean, (1 - _BETA1) * (gradient - mean), out=mean)
        np.add(square, (1 - _BETA2) * (gradient * gradient - square), out=square)
        step_size = (mean / (1 - _BETA1**step)) / (np.sqrt(square / (1 - _BETA2**step)) + 1e-8)
        np.subtract(weight, rate * step_size, out=weight)
