"""Training a finished bundle further, and teaching what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.conftest import make_faces

keras = pytest.importorskip("keras")

from ferstream.errors import BundleError, DataError, ModelError
from ferstream.training.architectures import ARCHITECTURES, build
from ferstream.training.data.batches import TrainingBatches
from ferstream.training.evaluation.serving import save_bundle, serving_model
from ferstream.training.fitting.fit import Fit
from ferstream.training.fitting.initial_weights import start_from
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.teacher import blend, teacher_targets
from tests.support.bundles import random_crops, tiny_network, tiny_openvino_bundle

RECIPE = Recipe(epochs=1, batch=14, learning_rate=1e-9, warmup_epochs=0, weight_decay=0, average=0.0, augmentation=None)


@pytest.fixture
def _tiny_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "edge", lambda **_: tiny_network())


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Path, Any]:
    """A bundle, and the trained network that is in it."""
    network = tiny_network()
    network.set_weights([weight + 0.01 * place for place, weight in enumerate(network.get_weights())])
    served = serving_model(network, temperature=0.5)
    return save_bundle(served, directory=tmp_path / "made" / "1.0.0", name="made", version="1.0.0", temperature=0.5).directory, network


@pytest.mark.usefixtures("_tiny_edge")
class TestStart:
    def test_a_run_begins_with_the_weights_of_the_bundle(self, finished: tuple[Path, Any], tmp_path: Path) -> None:
        directory, network = finished
        faces = make_faces(14, 14)
        fit = Fit(
            recipe=replace(RECIPE, init=str(directory)),
            training=faces.of_usage("Training"),
            validation=faces.of_usage("PublicTest"),
            folder=tmp_path / "run",
        )
        for ours, theirs in zip(fit.network.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(fit.run().layers[-1].get_weights()[1].shape, (7,))

    def test_another_architecture_is_refused(self, finished: tuple[Path, Any]) -> None:
        with pytest.raises(DataError, match="is of another architecture than 'sequential3'"):
            start_from(build(Recipe(arch="sequential3")), str(finished[0]))

    def test_a_bundle_without_keras_file_is_refused(self, tmp_path: Path) -> None:
        bundle = tiny_openvino_bundle(tmp_path)
        with pytest.raises(DataError, match=r"has no model\.keras to train further"):
            start_from(tiny_network(), str(bundle.directory))

    def test_an_unknown_bundle_is_named(self) -> None:
        with pytest.raises(BundleError, match="no-such-model"):
            start_from(tiny_network(), "no-such-model")

    def test_a_bundle_that_was_not_trained_here_is_refused(self, tmp_path: Path) -> None:
        given = keras.Input((48, 48, 1), dtype="uint8")
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(given))
        bare = keras.Model(given, keras.layers.Dense(7, activation="softmax")(flat))
        directory = save_bundle(bare, directory=tmp_path / "bare" / "1.0.0", name="bare", version="1.0.0").directory
        with pytest.raises(ModelError, match="holds 0 networks"):
            start_from(tiny_network(), str(directory))


class TestTeacher:
    def test_answers_are_those_of_the_network_before_the_temperature_for_both_sides(self, finished: tuple[Path, Any]) -> None:
        directory, network = finished
        faces = random_crops(300)
        taught = teacher_targets(str(directory), faces)
        logits = (network.predict_on_batch(faces[..., None]) + network.predict_on_batch(faces[:, :, ::-1, None])) / 2
        expected = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
        assert taught.shape == (300, 7)
        assert taught.dtype == np.float32
        np.testing.assert_allclose(taught, expected, atol=0.03)  # the weights served are 16 bits wide

    def test_targets_are_blended_by_the_weight(self) -> None:
        faces = make_faces(14, 0)
        taught = np.full((14, 7), 1 / 7, np.float32)
        batches = TrainingBatches(faces=faces, batch=14, seed=1, augmentation=None)
        plain = batches[0][1]
        batches.blend_in(taught, 0.25)
        mixed = batches[0][1]
        np.testing.assert_allclose(mixed, 0.75 * plain + 0.25 / 7, atol=1e-6)

    @pytest.mark.usefixtures("_tiny_edge")
    def test_it_is_asked_once_and_only_when_there_is_something_to_train(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        def targets(model: str, pixels: Any, on_asked: Any) -> Any:
            asked.append(model)
            on_asked(1, 1)
            return np.full((len(pixels), 7), 1 / 7, np.float32)

        monkeypatch.setattr("ferstream.training.fitting.fit.teacher_targets", targets)
        faces, steps = make_faces(14, 14), list[float]()
        for _ in range(2):
            Fit(
                recipe=replace(RECIPE, teacher="made"),
                training=faces.of_usage("Training"),
                validation=faces.of_usage("PublicTest"),
                folder=tmp_path,
                on_step=lambda epoch, done, of, loss: steps.append(loss),
            ).run()
        assert asked == ["made"]
        assert np.isnan(steps).tolist() == [True, False]

    def test_answers_for_other_faces_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"expected \(3, 7\)"):
            blend(np.zeros((3, 7), np.float32), np.zeros((2, 7), np.float32), 0.5)

    def test_a_share_above_one_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"teacher_weight must be 0\.\.1"):
            Recipe(teacher_weight=1.1)
