"""Models that Keras 1 and 2 wrote, in every layout: the imported network computes what the old one did, or is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.errors import ModelError
from ferstream.training.keras2_config import as_keras3
from ferstream.training.model_file import read_network
from tests.support.old_models import (
    keras1_json,
    keras2_json,
    keras2_layer,
    keras213_json,
    keras213_layer,
    nested_json,
    nested_network,
    old_network,
    write_counted_weights,
    write_keras2_archive,
    write_keras2_weights,
    write_whole_h5,
)

FACES = np.random.default_rng(1).random((4, 48, 48, 1), np.float32)


def output(network: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(network(FACES, training=False)))


def trained(network: Any) -> Any:
    """The network with weights that are not those of a new one."""
    random = np.random.default_rng(2)
    network.set_weights([random.uniform(0.1, 0.3, weight.shape) for weight in network.get_weights()])
    return network


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "model.json"
    path.write_text(json.dumps(config))
    return path


def edited(**changes: Any) -> dict[str, Any]:
    """``keras213_json`` with other arguments for its convolution."""
    config = keras213_json()
    config["config"]["layers"][1]["config"] |= changes
    return config


def without_input_layer() -> dict[str, Any]:
    config = keras213_json()
    del config["config"]["layers"][0]
    return config


def with_layer_input_shape() -> dict[str, Any]:
    """As some converters write it: no input layer, and the shape of the model beside its layers."""
    config = without_input_layer()
    del config["config"]["layers"][0]["config"]["batch_input_shape"]
    config["config"]["build_input_shape"] = [None, 48, 48, 1]
    return config


def with_batch_shape() -> dict[str, Any]:
    config = keras213_json()
    config["config"]["layers"][0]["config"] = {"batch_shape": [None, 48, 48, 1], "dtype": "float32", "name": "input_1"}
    return config


def with_a_precision() -> dict[str, Any]:
    return edited(
        dtype={"module": "keras.mixed_precision", "class_name": "Policy", "config": {"name": "mixed_float16"}, "registered_name": None}
    )


def with_an_activation_object() -> dict[str, Any]:
    return edited(activation={"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"})


def inside_a_sequential() -> dict[str, Any]:
    config = keras213_json()
    first, rest = config["config"]["layers"][:2], config["config"]["layers"][2:]
    inner = {"module": "keras", "class_name": "Sequential", "config": {"name": "inner", "layers": first}, "registered_name": None}
    config["config"]["layers"] = [inner, *rest]
    return config


ARCHITECTURES = {
    "2.2": keras2_json,
    "2.13": keras213_json,
    "1.2": keras1_json,
    "2.13 without an input layer": without_input_layer,
    "2.2 with the shape beside the layers": with_layer_input_shape,
    "2.13 with batch_shape": with_batch_shape,
    "2.13 with a batch size": lambda: keras213_json(batch=32),
    "2.13 in mixed precision": with_a_precision,
    "2.13 with an activation as an object": with_an_activation_object,
    "TensorFlow's name of an activation": lambda: edited(activation="relu_v2"),
    "2.13 with a Sequential first": inside_a_sequential,
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_old_architecture_with_its_weights_computes_the_same(name: str, tmp_path: Path) -> None:
    network = trained(old_network())
    path = written(tmp_path, ARCHITECTURES[name]())
    write_keras2_weights(tmp_path / "weights.h5", network)

    assert output(read_network(path, tmp_path / "weights.h5")) == pytest.approx(output(network), abs=1e-5)


@pytest.mark.parametrize("config", [keras213_json, keras2_json, keras1_json])
def test_a_whole_h5_of_an_old_keras_computes_the_same(config: Any, tmp_path: Path) -> None:
    network = trained(old_network())
    write_whole_h5(tmp_path / "model.h5", network, config())

    assert output(read_network(tmp_path / "model.h5")) == pytest.approx(output(network), abs=1e-5)
    assert output(read_network(written(tmp_path, config()), tmp_path / "model.h5")) == pytest.approx(output(network), abs=1e-5)


@pytest.mark.parametrize("whole", [False, True])
def test_a_model_inside_a_model_is_called_as_before(whole: bool, tmp_path: Path) -> None:
    network = trained(nested_network())
    write_keras2_weights(tmp_path / "weights.h5", network)
    write_whole_h5(tmp_path / "model.h5", network, nested_json())
    read = read_network(tmp_path / "model.h5") if whole else read_network(written(tmp_path, nested_json()), tmp_path / "weights.h5")

    assert output(read) == pytest.approx(output(network), abs=1e-5)


def test_layers_that_are_counted_by_class_get_their_weights(tmp_path: Path) -> None:
    """Keras 2.13 calls the second convolution conv2d_2, Keras 3 looks for conv2d_1."""
    config = keras213_json()
    config["config"]["layers"].insert(2, keras213_layer("Conv2D", "conv2d_2", filters=5, kernel_size=[1, 1]))
    network = old_network()
    layers = [keras.Input((48, 48, 1)), network.layers[0], keras.layers.Conv2D(5, 1)]
    network = trained(
        keras.Sequential([*layers, keras.layers.BatchNormalization(), keras.layers.Flatten(), keras.layers.Dense(7, "softmax")])
    )
    write_counted_weights(tmp_path / "model.weights.h5", network)
    write_keras2_archive(tmp_path / "model.keras", network, config)

    assert output(read_network(written(tmp_path, config), tmp_path / "model.weights.h5")) == pytest.approx(output(network), abs=1e-5)
    assert output(read_network(tmp_path / "model.keras")) == pytest.approx(output(network), abs=1e-5)


def test_a_merge_of_keras_1_becomes_a_layer() -> None:
    merge = {"class_name": "Merge", "config": {"name": "merge_1", "mode": "concat", "concat_axis": -1, "dot_axes": -1}}
    config = keras1_json()
    config["config"].insert(1, merge)

    (layer,) = [layer for layer in as_keras3(config, Path("x"))["config"]["layers"] if layer["config"]["name"] == "merge_1"]

    assert (layer["class_name"], layer["config"]["axis"]) == ("Concatenate", -1)


class TestRefused:
    @pytest.mark.parametrize(
        ("config", "says"),
        [
            (edited(data_format="channels_first"), "layer conv2d_1 has its channels first"),
            (edited(dim_ordering="th"), "layer conv2d_1 has its channels first"),
            (edited(activation="hard_sigmoid"), "layer conv2d_1 uses hard_sigmoid, which has another slope in Keras 3"),
            (edited(binarised=True), r"layer conv2d_1 \(Conv2D\) has binarised = True, which Keras 3 does not have"),
            (keras1_json() | {"backend": "theano"}, "was trained on Theano, which turns the kernels"),
            (keras213_json() | {"class_name": "Graph"}, "is a Graph, not a Sequential or functional model"),
            (keras213_json() | {"config": {"name": "x"}}, "is not the architecture of a Keras model: KeyError"),
            (keras213_json() | {"config": {"name": "x", "layers": []}}, "is not the architecture of a Keras model"),
        ],
    )
    def test_what_keras_3_would_compute_differently(self, config: dict[str, Any], says: str, tmp_path: Path) -> None:
        write_keras2_weights(tmp_path / "weights.h5", old_network())
        with pytest.raises(ModelError, match=says) as caught:
            read_network(written(tmp_path, config), tmp_path / "weights.h5")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("kind", "says"), [("TFOpLambda", "a TensorFlow operation between the layers: replace it"), ("MyBlock", "rebuild the network")]
    )
    def test_layers_that_keras_3_does_not_have(self, kind: str, says: str, tmp_path: Path) -> None:
        config = keras2_json()
        config["config"]["layers"].insert(1, keras2_layer(kind, "odd"))
        write_keras2_weights(tmp_path / "weights.h5", old_network())
        with pytest.raises(ModelError, match=rf"has a {kind} layer, which Keras 3 does not have; .*{says}"):
            read_network(written(tmp_path, config), tmp_path / "weights.h5")

    def test_weights_without_layers(self, tmp_path: Path) -> None:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "data.h5", "w") as file:
            file["numbers"] = [1, 2]
        with pytest.raises(ModelError, match=r"data\.h5 does not hold the weights of a Keras model"):
            read_network(written(tmp_path, keras213_json()), tmp_path / "data.h5")
