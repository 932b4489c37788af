"""The call of Keras on torch, with a torch that records what is asked of it; torch itself is tested where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ferstream.errors import BundleError, ModelError
from ferstream.inference import keras as adapter
from ferstream.inference.bundle import Bundle
from ferstream.inference.keras import KerasClassifier, Network
from tests.support.bundles import random_crops, scripted_keras_bundle


class Tensor(np.ndarray):
    """An array with the methods of a tensor that the adapter calls."""

    def to(self, _device: Any) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        return np.asarray(self)


class FakeTorch:
    """Stands in for the module ``torch``: compiles by returning what it was given."""

    uint8 = np.uint8

    def __init__(self, compile_error: Exception | None = None) -> None:
        self.exported: list[int] = []
        self.compiled: list[dict[str, Any]] = []
        self.export = SimpleNamespace(export=self._export)
        self._compile_error = compile_error

    def zeros(self, shape: tuple[int, ...], **_: Any) -> Tensor:
        return np.zeros(shape, np.uint8).view(Tensor)

    def from_numpy(self, array: np.ndarray) -> Tensor:
        return array.view(Tensor)

    def inference_mode(self) -> Any:
        return nullcontext()

    def _export(self, model: Any, examples: tuple[Tensor]) -> Any:
        self.exported.append(len(examples[0]))
        return SimpleNamespace(module=lambda: model)

    def compile(self, call: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        self.compiled.append(options)

        def fails(_: Any) -> Any:
            raise self._compile_error or AssertionError

        return call if self._compile_error is None else fails


class Model:
    """Stands in for a Keras model on torch."""

    def eval(self) -> None:
        """Nothing to switch."""

    def parameters(self) -> Any:
        return [SimpleNamespace(device="cpu")]

    def __call__(self, batch: Tensor) -> Tensor:
        return np.full((len(batch), 7), 1 / 7, np.float32).view(Tensor)


@pytest.fixture
def scripted(tmp_path: Path) -> Bundle:
    return scripted_keras_bundle(tmp_path)


def install(monkeypatch: pytest.MonkeyPatch, torch: FakeTorch) -> Callable[[Path], Network]:
    """Make ``import torch`` give the fake; return a loader of the model on it."""
    monkeypatch.setitem(sys.modules, "torch", torch)
    return lambda _path: Network("torch", adapter.torch_call(Model()))


def test_each_batch_size_is_compiled_once_and_wholly(monkeypatch: pytest.MonkeyPatch, scripted: Bundle) -> None:
    torch = FakeTorch()
    classifier = KerasClassifier(bundle=scripted, max_batch=4, load=install(monkeypatch, torch))

    classifier.warm_up()
    classifier.warm_up()

    assert torch.exported == [1, 2, 4]
    assert torch.compiled == [{"fullgraph": True, "dynamic": False}] * 3
    assert classifier.classify(random_crops(3)) == pytest.approx(np.full((3, 7), 1 / 7), abs=1e-6)


def test_a_network_that_cannot_be_compiled_is_refused_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch, scripted: Bundle) -> None:
    load = install(monkeypatch, FakeTorch(RuntimeError("no C++ compiler\nand more")))

    with pytest.raises(BundleError, match=r"torch cannot compile the network: no C\+\+ compiler; .*Set KERAS_BACKEND=jax or tensorflow$"):
        KerasClassifier(bundle=scripted, load=load)


def test_a_larger_batch_that_cannot_be_compiled_keeps_its_message(monkeypatch: pytest.MonkeyPatch, scripted: Bundle) -> None:
    torch = FakeTorch()
    classifier = KerasClassifier(bundle=scripted, max_batch=2, load=install(monkeypatch, torch))

    def refuse(*_: Any) -> Any:
        raise RuntimeError("unsupported operation")

    torch.export = SimpleNamespace(export=refuse)
    with pytest.raises(ModelError, match=r"^Keras's backend torch cannot compile the network: unsupported operation"):
        classifier.classify(random_crops(2))
