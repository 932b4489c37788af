"""Networks of other projects: their inputs and outputs are adapted, or they are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")
h5py = pytest.importorskip("h5py")

from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.training.export.import_model import import_network, label_order
from tests.support.bundles import random_crops
from tests.support.old_models import keras2_json, old_network, write_keras2_weights

OLD_ORDER = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
TO_LABEL_ORDER = [4, 5, 6, 1, 3, 2, 0]


@pytest.fixture(scope="module")
def network() -> Any:
    return old_network()


def call(model: Any, values: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(model(values, training=False)))


def expected(network: Any, crops: Any) -> Any:
    return call(network, crops[..., np.newaxis].astype(np.float32) / 255)[:, TO_LABEL_ORDER]


def save(network: Any, folder: Path, form: str) -> dict[str, Any]:
    """Write a network in one of the forms older projects left behind."""
    path = folder / f"model{form if form.startswith('.') else '.json'}"
    if form == "keras 2 json":
        path.write_text(json.dumps(keras2_json()))
        write_keras2_weights(folder / "weights.h5", network)
        return {"path": path, "weights": folder / "weights.h5"}
    if form == "keras 3 json":
        path.write_text(network.to_json())
        network.save_weights(folder / "model.weights.h5")
        return {"path": path, "weights": folder / "model.weights.h5"}
    network.save(path)
    return {"path": path}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["keras 2 json", "keras 3 json", ".h5", ".hdf5", ".keras"])
def test_every_file_format_gives_the_old_networks_probabilities_in_label_order(network: Any, tmp_path: Path, form: str) -> None:
    imported = import_network(**save(network, tmp_path, form), labels=OLD_ORDER)
    crops = random_crops(8)
    assert call(imported.served, crops[..., np.newaxis]) == pytest.approx(expected(network, crops), abs=1e-5)
    assert any("reordered" in note for note in imported.notes)
    assert any("assumed" in note for note in imported.notes)


@pytest.mark.parametrize(("value_range", "scale", "offset"), [("0..1", 1 / 255, 0), ("-1..1", 1 / 127.5, -1), ("0..255", 1, 0)])
def test_the_input_range_is_adapted_inside(network: Any, tmp_path: Path, value_range: str, scale: float, offset: float) -> None:
    imported = import_network(**save(network, tmp_path, ".keras"), value_range=value_range)
    crops = random_crops(5)
    fed = crops[..., np.newaxis].astype(np.float32) * scale + offset
    assert call(imported.served, crops[..., np.newaxis]) == pytest.approx(call(network, fed), abs=1e-5)
    assert imported.notes[0] == f"input range {value_range}"


def test_seven_sigmoids_are_scaled_to_sum_1(tmp_path: Path) -> None:
    network = old_network()
    network.layers[-1].activation = keras.activations.sigmoid
    imported = import_network(**save(network, tmp_path, ".keras"), value_range="0..1")
    crops = random_crops(5)[..., np.newaxis]
    rates = call(network, crops.astype(np.float32) / 255)
    assert call(imported.served, crops) == pytest.approx(rates / rates.sum(axis=1, keepdims=True), abs=1e-5)
    assert any("seven sigmoids" in note for note in imported.notes)


def test_another_activation_is_used_as_logits_with_a_note(tmp_path: Path) -> None:
    network = old_network()
    network.layers[-1].activation = keras.activations.tanh
    assert any("ends in tanh" in note for note in import_network(**save(network, tmp_path, ".keras")).notes)


def test_a_network_that_scales_its_input_gets_bytes(tmp_path: Path) -> None:
    imported = import_network(**save(old_network(scaling=True), tmp_path, ".keras"))
    assert imported.notes[0] == "input range 0..255"


def test_other_sizes_and_three_channels_are_adapted_inside(tmp_path: Path) -> None:
    imported = import_network(**save(old_network(size=64, channels=3), tmp_path, ".keras"))
    assert imported.served.input_shape == (None, 48, 48, 1)
    assert call(imported.served, random_crops(2)[..., np.newaxis]).shape == (2, 7)
    assert any("64x64" in note for note in imported.notes)
    assert any("three channels" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"channels": 2}, "1 or 3"),
        ({"size": (1, 48), "channels": 48}, "has its channels first"),
        ({"outputs": 8}, "has 8 outputs, ferstream's labels are 7"),
    ],
)
def test_other_channels_and_outputs_are_errors(tmp_path: Path, shape: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        import_network(**save(old_network(**shape), tmp_path, ".keras"))


class TestLabels:
    @given(order=st.permutations(LABELS))
    def test_any_order_is_reversed(self, order: list[str]) -> None:
        assert [order[index] for index in label_order(order)] == list(LABELS)

    def test_synonyms_and_spaces_are_accepted(self) -> None:
        assert label_order([" Anger", "DISGUST", "fearful", "Happiness", "sadness ", "surprised", "neutral"]) == list(range(7))

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (["angry", "contempt"], "'contempt' is unknown"),
            ([*LABELS[:6], "angry"], r"missing: neutral"),
            (LABELS[:6], "missing: neutral"),
            ([], "missing: angry"),
        ],
    )
    def test_labels_that_are_not_an_order_are_an_error(self, labels: list[str], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            label_order(labels)


def test_an_unknown_range_is_an_error_that_lists_the_known(network: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"choose one of 0\.\.255, 0\.\.1, -1\.\.1"):
        import_network(**save(network, tmp_path, ".keras"), value_range="0-1")
