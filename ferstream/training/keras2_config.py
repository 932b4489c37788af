"""Rewrites an architecture of Keras 1 or 2 as Keras 3 reads it.

Keras 3 reads most of them itself, but not input shapes on a first layer, arguments that are gone, models inside models, and the
module names that Keras 2.12 and later write (docs/adr/0060-old-keras-models.md). Everything that only matters for training is
left out: initialisers, regularisers, constraints, precision. Whatever would compute something else in Keras 3 is refused.

Classes are looked up in ``keras.layers`` by name, whatever module the file says: no other code is imported.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras

from ferstream.errors import ModelError

Config = dict[str, Any]

_MODELS = frozenset({"Sequential", "Model", "Functional", "Network"})
_CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}
"""Classes that have another name in Keras 3."""
_ARGUMENTS = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "bias": "use_bias",
    "output_dim": "units",
    "p": "rate",
    "sigma": "stddev",
}
"""Arguments of Keras 1 that have another name in Keras 2 and 3."""
_OF_CLASS = {("LeakyReLU", "alpha"): "negative_slope", ("ThresholdedReLU", "theta"): "threshold"}
"""Arguments of one class that have another name in Keras 3."""
_DATA_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": "channels_last"}
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint", "_init")
_WITHOUT_EFFECT = frozenset(
    {"dtype", "input_dtype", "input_dim", "input_length", "batch_input_shape", "init", "weights", "implementation", "fused"}
)
_NEUTRAL = {"groups": 1, "mode": 0}
"""Arguments that Keras 3 does not know, with the value at which they change nothing; so do None and False for any other."""
_MERGES = {"concat": "Concatenate", "sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}
_INPUT = "pictures"
"""Name of an input layer that is put in front."""


def as_keras3(config: Config, path: Path) -> Config:
    """Return the architecture as ``keras.models.model_from_json`` of Keras 3 reads it.

    Args:
        config: The architecture of Keras 1 or 2; it is not changed.
        path: Its file, for messages.

    Raises:
        ModelError: A layer or an argument has no equivalent in Keras 3, or the architecture is damaged.
    """
    if config.get("backend") == "theano":
        raise ModelError(
            f"{path}: was trained on Theano, which turns the kernels of convolutions; load it in Keras 2 on TensorFlow and save it there"
        )
    try:
        return _Converter(path).model(config)
    except (KeyError, IndexError, TypeError, AttributeError) as exc:
        raise ModelError(f"{path}: is not the architecture of a Keras model: {type(exc).__name__}: {exc}") from exc


class _Converter:
    """Converts the parts of one architecture."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def model(self, node: Config) -> Config:
        """Convert a Sequential or Functional model."""
        given = node["config"]
        if node["class_name"] == "Sequential":
            config = self._sequential(given)
        elif node["class_name"] in _MODELS:
            config = self._functional(given)
        else:
            raise ModelError(f"{self._path}: is a {node['class_name']}, not a Sequential or functional model of Keras")
        return _keras3("keras", "Sequential" if node["class_name"] == "Sequential" else "Model", config)

    def _sequential(self, given: Any) -> Config:
        nodes: list[Config] = given if isinstance(given, list) else given["layers"]  # a list up to Keras 2.2.2
        layers = [self._layer(node) for node in nodes]
        shape = _input_shape(nodes) or (given.get("build_input_shape") if isinstance(given, dict) else None)
        if shape and layers[0]["class_name"] != "InputLayer":
            layers.insert(0, _input_layer(shape, _INPUT))
        return {"name": given.get("name", "sequential") if isinstance(given, dict) else "sequential", "layers": layers}

    def _functional(self, given: Config) -> Config:
        layers = [self._layer(node) | {"name": node["name"], "inbound_nodes": node["inbound_nodes"]} for node in given["layers"]]
        shifted = _shifted(given)
        for layer in layers:
            layer["inbound_nodes"] = [[_reference(item, shifted) for item in _listed(node)] for node in layer["inbound_nodes"]]
        ends = {key: _single([_reference(item, shifted)[:3] for item in _listed(given[key])]) for key in ("input_layers", "output_layers")}
        return {"name": given.get("name", "model"), "layers": layers, **ends}

    def _layer(self, node: Config) -> Config:
        kind: str = node["class_name"]
        config: Config = dict(node["config"]) if isinstance(node["config"], dict) else {}
        if kind in _MODELS:
            return self.model(node)
        if kind == "InputLayer":
            return _input_layer(_shape_of(config), config["name"])
        if kind == "Merge":
            kind, config = _merge(config)
        config = {_OF_CLASS.get((kind, key), _ARGUMENTS.get(key, key)): value for key, value in config.items()}
        if "nb_row" in config:
            config["kernel_size"] = [config.pop("nb_row"), config.pop("nb_col")]
        kind = _CLASSES.get(kind, kind)
        found = getattr(keras.layers, kind, None)
        if not inspect.isclass(found):
            raise ModelError(f"{self._path}: has a {kind} layer, which Keras 3 does not have; {_remedy(kind)}")
        accepted = {*inspect.signature(found.__init__).parameters, "name", "trainable"} - {"self", "kwargs"}
        return _keras3("keras.layers", kind, self._arguments(kind, config, accepted))

    def _arguments(self, kind: str, config: Config, accepted: set[str]) -> Config:
        """Return the arguments that Keras 3 knows, with their values as it reads them."""
        kept = {}
        for key, value in config.items():
            if key.endswith(_TRAINING_ONLY) or key in _WITHOUT_EFFECT or key.startswith(("W_", "b_")):
                continue
            if key in accepted:
                kept[key] = self._value(config, key, value)
            elif value is not None and value is not False and _NEUTRAL.get(key) != value:
                raise ModelError(f"{self._path}: layer {config.get('name')} ({kind}) has {key} = {value!r}, which Keras 3 does not have")
        return kept

    def _value(self, config: Config, key: str, value: Any) -> Any:
        if key == "data_format":
            return _DATA_FORMATS.get(value, value)
        if key == "axis" and isinstance(value, list) and len(value) == 1:
            return value[0]
        if key.endswith("activation"):
            value = _function_name(value)
            if value == "hard_sigmoid":
                layer = config.get("name")
                msg = f"{self._path}: layer {layer} uses hard_sigmoid, which has another slope in Keras 3; replace it and train again"
                raise ModelError(msg)
        return self._layer(value) if isinstance(value, dict) and "class_name" in value else value


def _keras3(module: str, kind: str, config: Config) -> Config:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def _input_layer(shape: list[Any], name: str) -> Config:
    return _keras3("keras.layers", "InputLayer", {"batch_shape": [None, *shape[1:]], "dtype": "float32", "name": name})


def _shape_of(config: Config) -> list[Any]:
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    return list(shape) if shape else [None, *config["input_shape"]]


def _input_shape(nodes: list[Config]) -> list[Any] | None:
    """Return the input shape that the first layer names, or the first layer of the model that it is."""
    config = nodes[0]["config"]
    if nodes[0]["class_name"] in _MODELS:
        return _input_shape(config if isinstance(config, list) else config["layers"])
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    return list(shape) if shape else None


def _shifted(given: Config) -> set[str]:
    """Return the layers whose calls are counted from 1: models that were called once before, to make them."""
    calls = {node["name"]: len(node["inbound_nodes"]) for node in given["layers"] if node["class_name"] in _MODELS}
    used: list[list[Any]] = [item for node in given["layers"] for call in node["inbound_nodes"] for item in _listed(call)]
    return {item[0] for item in (*used, *_listed(given["output_layers"])) if item[0] in calls and item[1] == calls[item[0]]}


def _reference(item: list[Any], shifted: set[str]) -> list[Any]:
    """Return ``[layer, call, output, keyword arguments]``."""
    name, call, output, *rest = item
    return [name, call - 1 if name in shifted else call, output, rest[0] if rest else {}]


def _listed(value: list[Any]) -> list[Any]:
    """Return a list of references, where the file may have a single one."""
    return [value] if value and isinstance(value[0], str) else list(value)


def _single(references: list[Any]) -> list[Any]:
    """Return the only reference instead of a list of one: with a list Keras 3 warns at each call that inputs come without one."""
    return references[0] if len(references) == 1 else references


def _function_name(value: Any) -> Any:
    """Return the name of an activation that is written as an object or with the version of TensorFlow's function."""
    if isinstance(value, dict) and isinstance(value.get("config"), str):
        value = value["config"]
    return value.removesuffix("_v2") if isinstance(value, str) else value


def _merge(config: Config) -> tuple[str, Config]:
    """Return the layer that does what a ``Merge`` of Keras 1 does."""
    kind = _MERGES.get(config.get("mode", ""), "Merge")
    return kind, {"name": config["name"], **({"axis": config.get("concat_axis", -1)} if kind == "Concatenate" else {})}


def _remedy(kind: str) -> str:
    if kind in {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}:
        return "it is a TensorFlow operation between the layers: replace it by a layer, such as Rescaling for x / 255, and save again"
    return "rebuild the network from layers of Keras 3 and save again"
