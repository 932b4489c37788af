"""The Keras adapter's own duties: buckets, no retracing, errors in our tree."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.errors import BundleError, ClassifierMemoryError, ModelError
from ferstream.inference.bundle import Bundle, write_bundle
from ferstream.inference.classifier import Crops
from ferstream.inference.keras import KerasClassifier, buckets
from tests.support.bundles import random_crops

pytest.importorskip("keras", reason="the Keras extra is not installed")


@given(most=st.integers(1, 5000))
def test_buckets_are_powers_of_two_that_hold_the_largest_batch(most: int) -> None:
    sizes = buckets(most)
    assert sizes[0] == 1
    assert all(b == 2 * a for a, b in pairwise(sizes))
    assert sizes[-1] >= most > sizes[-1] // 2


def test_only_bucket_sizes_reach_the_network(full_bundle: Bundle) -> None:
    classifier = KerasClassifier(bundle=full_bundle, max_batch=8)
    inner = classifier._call
    seen: list[int] = []
    assert inner is not None

    def call(batch: Crops) -> Any:
        seen.append(len(batch))
        return inner(batch)

    classifier._call = call
    for count in (1, 3, 5, 8, 11):
        classifier.classify(random_crops(count))
    assert seen == [1, 4, 8, 8, 8, 4]


def test_padding_does_not_keep_the_faces_of_the_last_call(full_bundle: Bundle) -> None:
    classifier = KerasClassifier(bundle=full_bundle, max_batch=4)
    classifier.classify(random_crops(4))
    classifier.classify(random_crops(3))
    assert classifier._staging[2].any()
    assert not classifier._staging[3:].any()


@pytest.mark.parametrize(
    "text", ["OOM when allocating tensor with shape[32]", "RESOURCE_EXHAUSTED: out of memory", "CUDA out of memory. Tried"]
)
def test_a_gpu_without_memory_is_told_apart(full_bundle: Bundle, text: str) -> None:
    classifier = KerasClassifier(bundle=full_bundle, max_batch=1)

    def fail(_: object) -> None:
        raise RuntimeError(text)

    classifier._call = fail
    with pytest.raises(ClassifierMemoryError, match="out of memory"):
        classifier.classify(random_crops(1))


def test_deterministic_runs_one_crop_at_a_time_whatever_comes(full_bundle: Bundle) -> None:
    classifier = KerasClassifier(bundle=full_bundle, max_batch=8, deterministic=True)
    inner = classifier._call
    seen: list[int] = []
    assert inner is not None

    def call(batch: Crops) -> Any:
        seen.append(len(batch))
        return inner(batch)

    classifier._call = call
    assert classifier.classify(random_crops(5)).shape == (5, 7)
    assert seen == [1] * 5
    assert classifier.max_batch == 1


def test_tensorflows_own_exception_is_a_memory_error(full_bundle: Bundle) -> None:
    tf = pytest.importorskip("tensorflow")
    classifier = KerasClassifier(bundle=full_bundle, max_batch=1)

    def fail(_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory")

    classifier._call = fail
    with pytest.raises(ClassifierMemoryError):
        classifier.classify(random_crops(1))


def test_another_failure_is_a_model_error(full_bundle: Bundle) -> None:
    classifier = KerasClassifier(bundle=full_bundle, max_batch=1)

    def fail(_: object) -> None:
        raise ValueError("graph is broken\nand more")

    classifier._call = fail
    with pytest.raises(ModelError, match=r"Keras failed: graph is broken$"):
        classifier.classify(random_crops(1))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04 no")
    bad = write_bundle(directory=tmp_path / "bad" / "1", files={"model.keras": tmp_path / "model.keras"}, name="bad", version="1")
    with pytest.raises(BundleError, match=r"model\.keras: Keras cannot load it"):
        KerasClassifier(bundle=bad)


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_the_other_libraries_give_the_same_numbers(full_bundle: Bundle, library: str, tmp_path: Path) -> None:
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
