"""The served form of a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.errors import ModelError
from ferstream.training.export.serving import serving_model
from tests.support.bundles import in_precision, random_crops, tiny_network


def call(model: Any, crops: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(model(crops[..., np.newaxis], training=False)))


def logits_of(network: Any, crops: Any) -> Any:
    return call(network, crops.astype(np.float32))


def compute_dtypes(model: Any) -> Iterator[str]:
    """Yield the dtype that each layer with a kernel computes in, nested models included."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from compute_dtypes(layer)
        elif hasattr(layer, "kernel"):
            yield layer.compute_dtype


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_served_model_takes_bytes_and_gives_probabilities() -> None:
    network, crops = tiny_network(), random_crops(9)
    served = serving_model(network)
    assert served.input.dtype == "uint8"
    assert call(served, crops) == pytest.approx(softmax(logits_of(network, crops)), abs=1e-6)


def test_the_temperature_divides_the_logits() -> None:
    network, crops = tiny_network(), random_crops(9)
    expected = softmax(logits_of(network, crops) / 2.5)
    assert call(serving_model(network, temperature=2.5), crops) == pytest.approx(expected, abs=1e-6)


def test_a_softmax_at_the_end_is_detected_in_nested_networks_too() -> None:
    network, crops = tiny_network(softmax=True), random_crops(9)
    probabilities = logits_of(network, crops)
    given = keras.Input((48, 48, 1))
    nested = keras.Model(given, network(given))
    assert call(serving_model(network), crops) == pytest.approx(probabilities, abs=1e-6)
    assert call(serving_model(nested), crops) == pytest.approx(probabilities, abs=1e-6)
    assert call(serving_model(nested, temperature=2.0), crops) == pytest.approx(softmax(np.log(probabilities) / 2), abs=1e-5)


def test_with_mirror_a_face_and_its_mirror_image_have_equal_probabilities() -> None:
    served, crops = serving_model(tiny_network(), mirror=True), random_crops(4)
    assert call(served, crops) == pytest.approx(call(served, crops[:, :, ::-1]), abs=1e-6)


def test_outputs_are_reordered() -> None:
    network, crops = tiny_network(), random_crops(4)
    order = [3, 1, 0, 2, 6, 5, 4]
    assert call(serving_model(network, order=order), crops) == pytest.approx(call(serving_model(network), crops)[:, order], abs=1e-6)


def test_a_network_of_mixed_precision_is_served_in_float32() -> None:
    served = serving_model(in_precision("mixed_bfloat16", tiny_network))
    assert set(compute_dtypes(served)) == {"float32"}
    assert call(served, random_crops(2)).dtype == np.float32


def test_the_optimizer_is_not_saved_with_the_served_model(tmp_path: Path) -> None:
    network = tiny_network()
    serving_model(network).save(tmp_path / "plain.keras")
    network.compile(keras.optimizers.AdamW(1e-3), "mse")
    network.optimizer.build(network.trainable_variables)
    serving_model(network).save(tmp_path / "trained.keras")
    assert (tmp_path / "trained.keras").stat().st_size < 1.1 * (tmp_path / "plain.keras").stat().st_size


def test_the_network_itself_is_not_changed() -> None:
    network, crops = tiny_network(), random_crops(2)
    before = logits_of(network, crops)
    serving_model(network, temperature=3.0)
    assert (logits_of(network, crops) == before).all()


def test_another_input_shape_is_an_error() -> None:
    network = keras.Sequential([keras.Input((64, 64, 1)), keras.layers.Flatten(), keras.layers.Dense(7)])
    with pytest.raises(ModelError, match=r"takes \(None, 64, 64, 1\) and gives \(None, 7\), expected \(None, 48, 48, 1\)"):
        serving_model(network)
