"""Model files as older projects wrote them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any


def old_network(*, size: int | tuple[int, int] = 48, channels: int = 1, outputs: int = 7, scaling: bool = False) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    height, width = (size, size) if isinstance(size, int) else size
    layers: list[Any] = [keras.Input((height, width, channels))]
    if scaling:
        layers.append(keras.layers.Rescaling(1 / 255))
    layers += [
        keras.layers.Conv2D(4, min(5, height), strides=4, activation="relu", name="conv2d_1"),
        keras.layers.BatchNormalization(name="batch_normalization_1"),
        keras.layers.Flatten(name="flatten_1"),
        keras.layers.Dense(outputs, activation="softmax", name="dense_1"),
    ]
    return keras.Sequential(layers, name="sequential_1")


def keras2_layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def keras2_json() -> dict[str, Any]:
    """``old_network`` as Keras 2.2 wrote it: no module names, the input shape on the first layer."""
    layers = [
        keras2_layer(
            "Conv2D", "conv2d_1", batch_input_shape=[None, 48, 48, 1], filters=4, kernel_size=[5, 5], strides=[4, 4], activation="relu"
        ),
        keras2_layer("BatchNormalization", "batch_normalization_1", axis=-1, momentum=0.99, epsilon=0.001),
        keras2_layer("Flatten", "flatten_1", data_format="channels_last"),
        keras2_layer("Dense", "dense_1", units=7, activation="softmax", use_bias=True),
    ]
    return {
        "class_name": "Sequential",
        "config": {"name": "sequential_1", "layers": layers},
        "keras_version": "2.2.4",
        "backend": "tensorflow",
    }


def write_keras2_weights(path: Path, network: Any) -> None:
    """The layout of ``save_weights`` in Keras 2: one group a layer, names in attributes."""
    import h5py

    with h5py.File(path, "w", locking=False) as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        for layer in network.layers:
            group = file.create_group(layer.name)  # of a model inside the model: all its weights
            names = [f"{layer.name}/{index}".encode() for index in range(len(layer.get_weights()))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name.decode(), data=value)


def keras213_layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """A layer as Keras 2.13 writes it in JSON: with its module, its initialisers as objects, and how it was built."""
    own = {
        "name": name,
        "trainable": True,
        "dtype": "float32",
        "kernel_initializer": {"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": None}, "registered_name": None},
        "kernel_regularizer": {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01}, "registered_name": None},
        "activity_regularizer": None,
        **config,
    }
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": own,
        "registered_name": None,
        "build_config": {"input_shape": [None, 1]},
    }


def keras213_input(name: str, shape: tuple[int, ...] = (48, 48, 1), batch: int | None = None) -> dict[str, Any]:
    config = {"batch_input_shape": [batch, *shape], "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def keras213_json(*, batch: int | None = None) -> dict[str, Any]:
    """``old_network`` as Keras 2.13 writes it: an input layer, and the shape on the first layer too."""
    layers = [
        keras213_input("conv2d_1_input", batch=batch),
        keras213_layer(
            "Conv2D",
            "conv2d_1",
            batch_input_shape=[batch, 48, 48, 1],
            filters=4,
            kernel_size=[5, 5],
            strides=[4, 4],
            groups=1,
            activation="relu",
        ),
        keras213_layer("BatchNormalization", "batch_normalization_1", axis=[3], momentum=0.99, epsilon=0.001),
        keras213_layer("Flatten", "flatten_1", data_format="channels_last"),
        keras213_layer("Dense", "dense_1", units=7, activation="softmax"),
    ]
    return {
        "class_name": "Sequential",
        "config": {"name": "sequential_1", "layers": layers},
        "keras_version": "2.13.1",
        "backend": "tensorflow",
    }


def keras1_json() -> dict[str, Any]:
    """``old_network`` as Keras 1.2 wrote it: other names for classes and arguments, and a list instead of an object."""
    layers = [
        keras2_layer(
            "Convolution2D",
            "conv2d_1",
            batch_input_shape=[None, 48, 48, 1],
            nb_filter=4,
            nb_row=5,
            nb_col=5,
            subsample=[4, 4],
            border_mode="valid",
            dim_ordering="tf",
            init="glorot_uniform",
            W_regularizer=None,
            b_constraint=None,
            bias=True,
            activation="relu",
            input_dtype="float32",
        ),
        keras2_layer("BatchNormalization", "batch_normalization_1", mode=0, axis=-1, momentum=0.99, epsilon=0.001, gamma_init="one"),
        keras2_layer("Dropout", "dropout_1", p=0.25),
        keras2_layer("Flatten", "flatten_1"),
        keras2_layer("Dense", "dense_1", output_dim=7, input_dim=None, init="glorot_uniform", bias=True, activation="softmax"),
    ]
    return {"class_name": "Sequential", "config": layers, "keras_version": "1.2.2"}


def nested_network() -> Any:
    """A functional model that calls another one, with an activation that Keras 2 names differently."""
    import keras

    keras.utils.set_random_seed(5)
    inside = keras.Input((48, 48, 1), name="input_2")
    body = keras.Model(inside, keras.layers.Conv2D(3, 5, strides=4, name="conv2d_1")(inside), name="body")
    given = keras.Input((48, 48, 1), name="input_1")
    value = keras.layers.LeakyReLU(0.2, name="leaky_re_lu_1")(body(given))
    value = keras.layers.DepthwiseConv2D(3, name="depthwise_conv2d_1")(value)
    value = keras.layers.GlobalAveragePooling2D(name="global_average_pooling2d_1")(value)
    return keras.Model(given, keras.layers.Dense(7, activation="softmax", name="dense_1")(value), name="model_1")


def nested_json() -> dict[str, Any]:
    """``nested_network`` as Keras 2.13 writes it: the calls of a model inside a model are counted from 1."""

    def placed(layer: dict[str, Any], *before: list[Any]) -> dict[str, Any]:
        return layer | {"name": layer["config"]["name"], "inbound_nodes": [[[*node, {}] for node in before]] if before else []}

    body = {
        "name": "body",
        "layers": [
            placed(keras213_input("input_2")),
            placed(keras213_layer("Conv2D", "conv2d_1", filters=3, kernel_size=[5, 5], strides=[4, 4]), ["input_2", 0, 0]),
        ],
        "input_layers": [["input_2", 0, 0]],
        "output_layers": [["conv2d_1", 0, 0]],
    }
    model = {"module": "keras.src.engine.functional", "class_name": "Functional", "config": body, "registered_name": "Functional"}
    layers = [
        placed(keras213_input("input_1")),
        placed(model, ["input_1", 0, 0]),
        placed(keras213_layer("LeakyReLU", "leaky_re_lu_1", alpha=0.2), ["body", 1, 0]),
        placed(keras213_layer("DepthwiseConv2D", "depthwise_conv2d_1", kernel_size=[3, 3], groups=1), ["leaky_re_lu_1", 0, 0]),
        placed(keras213_layer("GlobalAveragePooling2D", "global_average_pooling2d_1", keepdims=False), ["depthwise_conv2d_1", 0, 0]),
        placed(keras213_layer("Dense", "dense_1", units=7, activation="softmax"), ["global_average_pooling2d_1", 0, 0]),
    ]
    config = {"name": "model_1", "layers": layers, "input_layers": [["input_1", 0, 0]], "output_layers": [["dense_1", 0, 0]]}
    return {"class_name": "Functional", "config": config, "keras_version": "2.13.1", "backend": "tensorflow"}


def write_whole_h5(path: Path, network: Any, config: dict[str, Any]) -> None:
    """The layout of ``model.save("model.h5")`` in Keras 2: the architecture in an attribute, without modules, and the weights."""
    import h5py

    write_keras2_weights(path.with_name("only.h5"), network)
    with h5py.File(path.with_name("only.h5"), "r", locking=False) as source, h5py.File(path, "w", locking=False) as file:
        source.copy(source, file, "model_weights")
        file.attrs["keras_version"], file.attrs["backend"] = config.get("keras_version", "2.2.4"), "tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": config["class_name"], "config": config["config"]})


def write_counted_weights(path: Path, network: Any) -> None:
    """The layout of Keras 2.13 for ``model.weights.h5``: layers are counted by class, those with weights twice."""
    import h5py

    with h5py.File(path, "w", locking=False) as file:
        file.create_group("vars")
        layers = file.create_group("_layer_checkpoint_dependencies")
        counts: dict[str, int] = {}
        for layer in network.layers:
            kind = {"Conv2D": "conv2d", "BatchNormalization": "batch_normalization"}.get(type(layer).__name__, type(layer).__name__.lower())
            number = counts.get(kind, 0)
            counts[kind] = number + (2 if layer.weights else 1)
            group = layers.create_group(f"{kind}_{number}" if number else kind).create_group("vars")
            for index, value in enumerate(layer.get_weights()):
                group[str(index)] = value


def write_keras2_archive(path: Path, network: Any, config: dict[str, Any]) -> None:
    """``model.keras`` as Keras 2.13 writes it."""
    weights = path.with_name("model.weights.h5")
    write_counted_weights(weights, network)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1", "date_saved": "2023-08-01@10:00:00"}))
        archive.writestr("config.json", json.dumps({"module": "keras.src.engine.sequential", **config, "registered_name": "Sequential"}))
        archive.write(weights, "model.weights.h5")
