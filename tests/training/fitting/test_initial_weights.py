"""Starting a run from the weights of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from ferstream.errors import BundleError, DataError, ModelError
from ferstream.training.export.bundle_writer import BundleTarget, save_bundle
from ferstream.training.export.serving import serving_model
from ferstream.training.fitting.architectures import build
from ferstream.training.fitting.fit import Fit
from ferstream.training.fitting.initial_weights import load_initial_weights
from ferstream.training.fitting.recipe import Recipe
from tests.support.bundles import tiny_network, tiny_openvino_bundle
from tests.support.face_sets import make_faces


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Path, Any]:
    """A bundle, and the trained network in it."""
    network = tiny_network()
    network.set_weights([weight + 0.01 * index for index, weight in enumerate(network.get_weights())])
    target = BundleTarget(directory=tmp_path / "made" / "1.0.0", name="made", version="1.0.0")
    return save_bundle(serving_model(network, temperature=0.5), target, temperature=0.5).directory, network


def test_a_run_starts_with_the_weights_of_the_bundle(finished: tuple[Path, Any], tmp_path: Path) -> None:
    directory, network = finished
    faces = make_faces(14, 14)

    fit = Fit(
        recipe=Recipe(epochs=1, batch=14, init=str(directory)),
        training=faces.of_usage("Training"),
        validation=faces.of_usage("PublicTest"),
        folder=tmp_path / "run",
        build_network=lambda _: tiny_network(),
    )

    for weights, expected in zip(fit.network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_another_architecture_is_an_error(finished: tuple[Path, Any]) -> None:
    with pytest.raises(DataError, match="the bundle has another architecture than 'sequential3'"):
        load_initial_weights(build(Recipe(arch="sequential3")), str(finished[0]))


def test_a_bundle_without_a_keras_file_is_an_error(tmp_path: Path) -> None:
    bundle = tiny_openvino_bundle(tmp_path)

    with pytest.raises(DataError, match=r"has no model\.keras to train further"):
        load_initial_weights(tiny_network(), str(bundle.directory))


def test_an_unknown_bundle_is_an_error_with_its_name() -> None:
    with pytest.raises(BundleError, match="no-such-model"):
        load_initial_weights(tiny_network(), "no-such-model")


def test_a_bundle_that_was_not_made_by_train_is_an_error(tmp_path: Path) -> None:
    given = keras.Input((48, 48, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(given))
    bare = keras.Model(given, keras.layers.Dense(7, activation="softmax")(flat))
    target = BundleTarget(directory=tmp_path / "bare" / "1.0.0", name="bare", version="1.0.0")
    directory = save_bundle(bare, target).directory

    with pytest.raises(ModelError, match="contains 0 networks"):
        load_initial_weights(tiny_network(), str(directory))
