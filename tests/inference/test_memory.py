"""Memory in use on the accelerator: bytes, 0 without one, None where it is unknown."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from ferstream.inference.memory import accelerator_memory_bytes


def fake_tensorflow(**held: int) -> SimpleNamespace:
    """A TensorFlow with one GPU per number."""
    devices = [SimpleNamespace(name=f"/device:{name.replace('_', ':')}") for name in held]
    return SimpleNamespace(
        config=SimpleNamespace(
            list_logical_devices=lambda kind: devices if kind == "GPU" else [],
            experimental=SimpleNamespace(get_memory_info=lambda name: {"current": held[name.replace(":", "_")], "peak": 10**12}),
        )
    )


def test_a_cpu_is_not_an_accelerator() -> None:
    assert accelerator_memory_bytes("openvino:CPU") == 0


@pytest.mark.parametrize("backend", ["openvino:GPU", "openvino:NPU", "keras:jax", "keras:torch"])
def test_memory_of_other_backends_is_unknown(backend: str) -> None:
    assert accelerator_memory_bytes(backend) is None


@pytest.mark.parametrize(("held", "total"), [({}, 0), ({"GPU_0": 700}, 700), ({"GPU_0": 700, "GPU_1": 5}, 705)])
def test_memory_of_tensorflow_is_the_sum_of_its_gpus(monkeypatch: pytest.MonkeyPatch, held: dict[str, int], total: int) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", fake_tensorflow(**held))
    assert accelerator_memory_bytes("keras:tensorflow") == total


def test_tensorflow_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    assert accelerator_memory_bytes("keras:tensorflow") is None
    assert "tensorflow" not in sys.modules
