"""The served form: everything inside, nothing changed on the way to a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.domain.emotion import LABELS
from ferstream.errors import BundleError, ModelError
from ferstream.inference.backends import open_classifier
from ferstream.training.export.serving import save_bundle, serving_model
from tests.support.bundles import random_crops, tiny_network


def call(model: Any, crops: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(model(crops[..., np.newaxis], training=False)))


def logits_of(network: Any, crops: Any) -> Any:
    return call(network, crops.astype(np.float32))


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_it_takes_bytes_and_gives_probabilities() -> None:
    network, crops = tiny_network(), random_crops(9)
    served = serving_model(network)
    assert served.input.dtype == "uint8"
    assert call(served, crops) == pytest.approx(softmax(logits_of(network, crops)), abs=1e-6)


def test_the_temperature_divides_the_logits() -> None:
    network, crops = tiny_network(), random_crops(9)
    expected = softmax(logits_of(network, crops) / 2.5)
    assert call(serving_model(network, temperature=2.5), crops) == pytest.approx(expected, abs=1e-6)


def test_a_softmax_at_the_end_is_seen_also_in_a_network_inside_a_network() -> None:
    network, crops = tiny_network(softmax=True), random_crops(9)
    probabilities = logits_of(network, crops)
    given = keras.Input((48, 48, 1))
    nested = keras.Model(given, network(given))
    assert call(serving_model(network), crops) == pytest.approx(probabilities, abs=1e-6)
    assert call(serving_model(nested), crops) == pytest.approx(probabilities, abs=1e-6)
    assert call(serving_model(nested, temperature=2.0), crops) == pytest.approx(softmax(np.log(probabilities) / 2), abs=1e-5)


def test_the_mirror_average_makes_a_face_and_its_mirror_image_equal() -> None:
    served, crops = serving_model(tiny_network(), mirror=True), random_crops(4)
    assert call(served, crops) == pytest.approx(call(served, crops[:, :, ::-1]), abs=1e-6)


def test_outputs_are_put_in_order() -> None:
    network, crops = tiny_network(), random_crops(4)
    order = [3, 1, 0, 2, 6, 5, 4]
    assert call(serving_model(network, order=order), crops) == pytest.approx(call(serving_model(network), crops)[:, order], abs=1e-6)


def test_mixed_precision_of_training_does_not_reach_service() -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = tiny_network()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    served = serving_model(network)
    assert {layer.compute_dtype for layer in served._flatten_layers() if hasattr(layer, "kernel")} == {"float32"}
    assert call(served, random_crops(2)).dtype == np.float32


def test_the_optimizer_of_training_does_not_reach_service(tmp_path: Path) -> None:
    network = tiny_network()
    serving_model(network).save(tmp_path / "plain.keras")
    network.compile(keras.optimizers.AdamW(1e-3), "mse")
    network.optimizer.build(network.trainable_variables)
    serving_model(network).save(tmp_path / "trained.keras")
    assert (tmp_path / "trained.keras").stat().st_size < 1.1 * (tmp_path / "plain.keras").stat().st_size


def test_the_network_itself_is_left_alone() -> None:
    network, crops = tiny_network(), random_crops(2)
    before = logits_of(network, crops)
    serving_model(network, temperature=3.0)
    assert (logits_of(network, crops) == before).all()


def test_another_input_is_refused() -> None:
    network = keras.Sequential([keras.Input((64, 64, 1)), keras.layers.Flatten(), keras.layers.Dense(7)])
    with pytest.raises(ModelError, match=r"takes \(None, 64, 64, 1\) and gives \(None, 7\), expected \(None, 48, 48, 1\)"):
        serving_model(network)


def test_a_saved_bundle_is_complete_and_every_backend_agrees(tmp_path: Path) -> None:
    served = serving_model(tiny_network(), temperature=1.3)
    bundle = save_bundle(
        served,
        directory=tmp_path / "a" / "1.0.0",
        name="a",
        version="1.0.0",
        temperature=1.3,
        metrics={"x": 1},
        recipe={"arch": "tiny"},
        card="# A\n",
    )
    assert sorted(path.name for path in bundle.directory.iterdir()) == [
        "CARD.md",
        "manifest.json",
        "model.keras",
        "openvino.bin",
        "openvino.xml",
    ]
    said = json.loads((bundle.directory / "manifest.json").read_text())
    assert said["temperature"] == 1.3
    assert said["labels"] == list(LABELS)
    assert {"ferstream", "keras", "openvino"} <= set(said["created_with"])
    crops = random_crops(12)
    expected = call(served, crops)
    for backend in ("openvino", "keras"):
        assert open_classifier(bundle, backend=backend).classify(crops) == pytest.approx(expected, abs=5e-3)
    with pytest.raises(BundleError, match="exists already"):
        save_bundle(served, directory=bundle.directory, name="a", version="1.0.0")
