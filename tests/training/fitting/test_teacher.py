"""Targets from the probabilities of a finished bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from ferstream.training.export.bundle_writer import BundleTarget, save_bundle
from ferstream.training.export.serving import serving_model
from ferstream.training.fitting.fit import Fit
from ferstream.training.fitting.recipe import Recipe
from ferstream.training.fitting.teacher import teacher_targets
from tests.support.bundles import random_crops, tiny_network
from tests.support.face_sets import make_faces


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Path, Any]:
    """A bundle, and the trained network in it."""
    network = tiny_network()
    network.set_weights([weight + 0.01 * index for index, weight in enumerate(network.get_weights())])
    target = BundleTarget(directory=tmp_path / "made" / "1.0.0", name="made", version="1.0.0")
    return save_bundle(serving_model(network, temperature=0.5), target, temperature=0.5).directory, network


def test_targets_average_a_face_and_its_mirror_image_without_the_temperature(finished: tuple[Path, Any]) -> None:
    directory, network = finished
    faces = random_crops(300)

    targets = teacher_targets(str(directory), faces)

    logits = (network.predict_on_batch(faces[..., None]) + network.predict_on_batch(faces[:, :, ::-1, None])) / 2
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    assert targets.shape == (300, 7)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets, expected, atol=0.03)  # the served weights have 16 bits


def test_a_run_asks_its_teacher_once_and_a_finished_run_does_not(finished: tuple[Path, Any], tmp_path: Path) -> None:
    faces, losses = make_faces(14, 14), list[float]()

    for _ in range(2):
        Fit(
            recipe=Recipe(epochs=1, batch=14, teacher=str(finished[0])),
            training=faces.of_usage("Training"),
            validation=faces.of_usage("PublicTest"),
            folder=tmp_path / "run",
            on_step=lambda epoch, done, total, loss: losses.append(loss),
            build_network=lambda _: tiny_network(),
        ).run()

    assert np.isnan(losses).tolist() == [True, False, False]  # the teacher, the start of the epoch, its step
