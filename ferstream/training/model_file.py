"""Read a Keras file of unknown origin without running code from it.

Pickles, and Keras files with Python code (Lambda layers, classes of other packages), run that code when they are
loaded. They are refused before anything is loaded. Files of Keras 2 are read too.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from ferstream.errors import ModelError, first_line

PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".dill", ".pt", ".pth", ".bin", ".npy"})

_PICKLE_OPENING = b"\x80"
_HDF5_OPENING = b"\x89HDF\r\n\x1a\n"
_LAYERS_WITH_CODE = frozenset({"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
"""Layers of Keras whose configuration contains code or a pickle."""
_TRUSTED_MODULES = ("keras", "builtins")


def read_network(path: Path, weights: Path | None = None) -> keras.Model:
    """Load a network, after a check that loading it runs no code from the file.

    Raises:
        ModelError: The file is a pickle, contains code, is damaged, or its weights are missing.
    """
    _refuse_pickle(path)
    if weights is not None:
        _refuse_pickle(weights)
    config = _read_config(path)
    _refuse_code(config, path)
    try:
        return _load(path, weights, config)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, NotImplementedError) as exc:
        raise ModelError(f"{path}: Keras {keras.__version__} cannot load it: {first_line(exc)}") from exc


def _load(path: Path, weights: Path | None, config: dict[str, Any]) -> keras.Model:
    if path.suffix == ".json":
        if weights is None:
            raise ModelError(f"{path}: has no weights; give them with --weights FILE.h5")
        if "module" not in config:
            return _load_keras2(config, weights)
        network = keras.models.model_from_json(json.dumps(config))
        network.load_weights(weights)
        return network
    if not zipfile.is_zipfile(path) and "module" not in config:
        return _load_keras2(config, path)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _load_keras2(config: dict[str, Any], weights: Path) -> keras.Model:
    """Combine a Keras 2 architecture and its weights in a whole-model ``.h5``, the only Keras 2 format that Keras 3 reads."""
    with tempfile.TemporaryDirectory(prefix="ferstream-import-") as scratch:
        whole = Path(scratch) / "whole.h5"
        with h5py.File(weights, "r", locking=False) as source, h5py.File(whole, "w", locking=False) as target:
            saved = source.get("model_weights", source)
            if "layer_names" not in saved.attrs:
                raise ValueError(f"{weights} does not hold Keras 2 weights")
            source.copy(saved, target, "model_weights")
            target.attrs["model_config"] = json.dumps(_with_input_layers({"class_name": config["class_name"], "config": config["config"]}))
        return keras.saving.load_model(whole, compile=False, safe_mode=True)


def _with_input_layers(config: dict[str, Any]) -> dict[str, Any]:
    """Return ``config`` with the input shape in Keras 3's form: an input layer first in a Sequential, with the key ``batch_shape``."""
    plain: dict[str, Any] = json.loads(json.dumps(config))
    for node in [node for node in _nodes(plain) if "class_name" in node and isinstance(node.get("config"), dict)]:
        if node["class_name"] == "InputLayer" and "batch_input_shape" in node["config"]:
            node["config"]["batch_shape"] = node["config"].pop("batch_input_shape")
        if node["class_name"] == "Sequential" and node["config"].get("layers"):
            _move_input_shape(node["config"]["layers"])
    return plain


def _move_input_shape(layers: list[dict[str, Any]]) -> None:
    shape = layers[0]["config"].pop("batch_input_shape", None) if layers[0]["class_name"] != "InputLayer" else None
    if shape is not None:
        layers.insert(0, {"class_name": "InputLayer", "config": {"batch_shape": shape, "dtype": "float32", "name": "pictures"}})


def _refuse_pickle(path: Path) -> None:
    if not path.is_file():
        what = "is a folder; import the .keras or .h5 file" if path.is_dir() else "does not exist"
        raise ModelError(f"{path}: {what}")
    with path.open("rb") as stream:
        opening = stream.read(len(_HDF5_OPENING))
    pickled_zip = zipfile.is_zipfile(path) and any(name.endswith(".pkl") for name in zipfile.ZipFile(path).namelist())
    if path.suffix.lower() in PICKLES or opening.startswith(_PICKLE_OPENING) or pickled_zip:
        msg = (
            f"{path}: is a pickled model, and unpickling runs any code that is in the file; refused. "
            "Ask for the weights as .h5 or .keras, or load it on a machine without secrets and call model.save('model.keras')"
        )
        raise ModelError(msg)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".json":
            text: str | bytes = path.read_bytes()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                text = archive.read("config.json")
        else:
            with h5py.File(path, "r", locking=False) as file:
                text = file.attrs["model_config"]
        config = json.loads(text)
    except KeyError as exc:
        msg = f"{path}: has weights but no architecture; give the model.json, and this file as --weights"
        raise ModelError(msg) from exc
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise ModelError(f"{path}: is not a Keras model: {first_line(exc)}") from exc
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path}: is not the architecture of a Keras model: class_name is missing")
    return config


def _refuse_code(config: dict[str, Any], path: Path) -> None:
    for node in _nodes(config):
        kind, module = node.get("class_name"), node.get("module")
        if not isinstance(kind, str | None):
            raise ModelError(f"{path}: is not the architecture of a Keras model: a class_name is {kind!r}, not a name")
        if kind in _LAYERS_WITH_CODE:
            what = str(kind).strip("_").capitalize() if "lambda" in str(kind).lower() else kind
            msg = f"{path}: has a {what} layer, whose Python code would run on loading; refused. Replace it by a Keras layer and save again"
            raise ModelError(msg)
        if isinstance(module, str) and module.split(".")[0] not in _TRUSTED_MODULES:
            raise ModelError(
                f"{path}: needs {module}.{kind}, which is not part of Keras; refused. Rebuild the network from Keras layers and save again"
            )


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON value, nested ones too."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
