"""The Keras adapter: bucket sizes, padding, and errors of the libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.errors import BundleError, ClassifierMemoryError, ModelError
from ferstream.inference.bundle import Bundle
from ferstream.inference.classifier import Crops, Probabilities
from ferstream.inference.keras import KerasClassifier, Network, buckets
from tests.support.bundles import random_crops, scripted_keras_bundle


@pytest.fixture
def scripted(tmp_path: Path) -> Bundle:
    return scripted_keras_bundle(tmp_path)


class RecordingNetwork:
    """A network that keeps its batches."""

    def __init__(self) -> None:
        self.batches: list[Crops] = []

    def load(self, path: Path) -> Network:
        return Network("scripted", self._call)

    def _call(self, batch: Crops) -> Probabilities:
        self.batches.append(batch.copy())
        return np.full((len(batch), 7), 1 / 7, np.float32)


def failing(error: BaseException) -> Callable[[Path], Network]:
    """A loader of a network that fails."""

    def call(batch: Any) -> Any:
        raise error

    return lambda path: Network("scripted", call)


@given(most=st.integers(1, 5000))
def test_buckets_are_powers_of_two_that_hold_the_largest_batch(most: int) -> None:
    sizes = buckets(most)
    assert sizes[0] == 1
    assert all(b == 2 * a for a, b in pairwise(sizes))
    assert sizes[-1] >= most > sizes[-1] // 2


def test_only_bucket_sizes_reach_the_network(scripted: Bundle) -> None:
    network = RecordingNetwork()
    classifier = KerasClassifier(bundle=scripted, max_batch=8, load=network.load)
    for count in (1, 3, 5, 8, 11):
        assert classifier.classify(random_crops(count)).shape == (count, 7)
    assert [batch.shape for batch in network.batches] == [(size, 48, 48, 1) for size in (1, 4, 8, 8, 8, 4)]


def test_warm_up_runs_every_bucket_once(scripted: Bundle) -> None:
    network = RecordingNetwork()
    KerasClassifier(bundle=scripted, max_batch=6, load=network.load).warm_up()
    assert [len(batch) for batch in network.batches] == [1, 2, 4, 8]


def test_padding_is_black(scripted: Bundle) -> None:
    network = RecordingNetwork()
    classifier = KerasClassifier(bundle=scripted, max_batch=4, load=network.load)
    classifier.classify(random_crops(4))
    classifier.classify(random_crops(3))
    assert network.batches[0][3].any()
    assert network.batches[1][2].any()
    assert not network.batches[1][3:].any()


def test_deterministic_runs_one_crop_at_a_time(scripted: Bundle) -> None:
    network = RecordingNetwork()
    classifier = KerasClassifier(bundle=scripted, max_batch=8, deterministic=True, load=network.load)
    crops = random_crops(5)
    assert classifier.classify(crops).shape == (5, 7)
    assert [len(batch) for batch in network.batches] == [1] * 5
    assert (np.concatenate(network.batches)[..., 0] == crops).all()
    assert classifier.max_batch == 1


def test_the_backend_names_the_library(scripted: Bundle) -> None:
    assert KerasClassifier(bundle=scripted, load=RecordingNetwork().load).backend == "keras:scripted"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("OOM when allocating tensor with shape[32]"),
        RuntimeError("RESOURCE_EXHAUSTED: out of memory"),
        RuntimeError("CUDA out of memory. Tried"),
        MemoryError(),
    ],
)
def test_a_device_without_memory_is_a_memory_error(scripted: Bundle, error: BaseException) -> None:
    classifier = KerasClassifier(bundle=scripted, max_batch=1, load=failing(error))
    with pytest.raises(ClassifierMemoryError, match="out of memory") as caught:
        classifier.classify(random_crops(1))
    assert caught.value.__cause__ is error


def test_the_memory_exception_of_tensorflow_is_a_memory_error(scripted: Bundle) -> None:
    tf = pytest.importorskip("tensorflow")
    error = tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory")
    classifier = KerasClassifier(bundle=scripted, max_batch=1, load=failing(error))
    with pytest.raises(ClassifierMemoryError):
        classifier.classify(random_crops(1))


def test_another_failure_is_a_model_error(scripted: Bundle) -> None:
    classifier = KerasClassifier(bundle=scripted, max_batch=1, load=failing(ValueError("graph is broken\nand more")))
    with pytest.raises(ModelError, match=r"Keras failed: graph is broken$"):
        classifier.classify(random_crops(1))


def test_a_file_that_is_not_a_model_is_an_error(scripted: Bundle) -> None:
    pytest.importorskip("keras", reason="the Keras extra is not installed")
    with pytest.raises(BundleError, match=r"model\.keras: is not a Keras model"):
        KerasClassifier(bundle=scripted)


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_the_other_libraries_give_the_same_probabilities(full_bundle: Bundle, library: str, tmp_path: Path) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed; it is an alternative to TensorFlow")
    crops = random_crops(5)
    np.save(tmp_path / "crops.npy", crops)
    program = (
        "import numpy as np; from ferstream.inference.bundle import load_bundle; from ferstream.inference.keras import KerasClassifier;"
        f"c = KerasClassifier(bundle=load_bundle({str(full_bundle.directory)!r}), max_batch=4); c.warm_up();"
        f"np.save({str(tmp_path / 'rows.npy')!r}, c.classify(np.load({str(tmp_path / 'crops.npy')!r}))); print(c.backend)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"KERAS_BACKEND": library}, capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.strip() == f"keras:{library}"
    assert np.load(tmp_path / "rows.npy") == pytest.approx(KerasClassifier(bundle=full_bundle, max_batch=4).classify(crops), abs=1e-4)
