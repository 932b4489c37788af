"""Weights stored in float16."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.errors import ModelError
from ferstream.inference.keras_file import check_keras_file
from ferstream.training.export.stored_weights import store_in_float16
from tests.support.bundles import random_crops, tiny_network


def test_the_file_is_smaller_and_loads_as_float32_with_rounded_weights(tmp_path: Path) -> None:
    network, path = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(64)]), tmp_path / "model.keras"
    network.save(path)
    before = path.stat().st_size

    store_in_float16(path)

    check_keras_file(path)
    loaded = keras.saving.load_model(path, compile=False)
    assert path.stat().st_size < 0.6 * before
    assert {weight.dtype for weight in loaded.weights} == {"float32"}
    for weight, exact in zip(loaded.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(weight, exact.astype(np.float16).astype(np.float32))


def test_answers_change_by_rounding_only(tmp_path: Path) -> None:
    network, crops = tiny_network(), random_crops(4)[..., np.newaxis]
    network.save(tmp_path / "model.keras")
    store_in_float16(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert np.asarray(loaded(crops)) == pytest.approx(np.asarray(network(crops)), abs=0.02)


def test_other_members_of_the_archive_stay(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    tiny_network().save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("ferstream.json", "{}")
    store_in_float16(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("ferstream.json") == b"{}"


def test_a_weight_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    network = tiny_network()
    network.layers[-1].set_weights([value + 1e5 for value in network.layers[-1].get_weights()])
    network.save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="does not fit into float16"):
        store_in_float16(tmp_path / "model.keras")
