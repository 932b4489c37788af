"""Model files as older projects wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def old_network(*, size: int = 48, channels: int = 1, outputs: int = 7, scaling: bool = False) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    layers: list[Any] = [keras.Input((size, size, channels))]
    if scaling:
        layers.append(keras.layers.Rescaling(1 / 255))
    layers += [
        keras.layers.Conv2D(4, 5, strides=4, activation="relu", name="conv2d_1"),
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
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{index}".encode() for index in range(len(layer.get_weights()))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name.decode(), data=value)
