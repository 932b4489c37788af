"""Weights of PyTorch in the layers of Keras."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.training.fitting.architectures import small
from scripts.torch_weights import fill


def random_state() -> dict[str, np.ndarray]:
    """Weights of the shapes of ``small``, under PyTorch's names."""
    random, state, channels = np.random.default_rng(0), {}, 16

    def unit(name: str, given: int, out: int, size: int) -> None:
        state[f"{name}.conv.weight"] = random.normal(0, 0.1, (out, given, size, size))
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.bn.{part}"] = random.uniform(0.5, 1.5, out)

    unit("stem", 1, 16, 3)
    for row, width in enumerate((32, 64, 128, 128)):
        unit(f"rows.{row}.a", channels, width, 3)
        unit(f"rows.{row}.b", width, width, 3)
        for part, (given, out) in {"g1": (width, width // 8), "g2": (width // 8, width)}.items():
            state[f"rows.{row}.{part}.weight"] = random.normal(0, 0.1, (out, given, 1, 1))
            state[f"rows.{row}.{part}.bias"] = random.normal(0, 0.1, out)
        if channels != width:
            unit(f"rows.{row}.short", channels, width, 1)
        channels = width
    for head in "AB":
        state[f"{head}.weight"], state[f"{head}.bias"] = random.normal(0, 0.1, (7, 128)), random.normal(0, 0.1, 7)
    return {name: value.astype(np.float32) for name, value in state.items()}


def test_every_weight_finds_its_layer() -> None:
    network, state = small(two_heads=True), random_state()

    fill(network, state)

    expected = sorted(float(np.abs(value).sum()) for value in state.values())
    found = sorted(float(np.abs(value).sum()) for value in network.get_weights())
    assert found == pytest.approx(expected, rel=1e-5)
    assert np.array_equal(network.get_layer("labels").kernel, state["B.weight"].T)
    stem = next(layer for layer in network.layers if "conv2d" in layer.name)
    assert np.array_equal(stem.kernel, state["stem.conv.weight"].transpose(2, 3, 1, 0))
