"""Read a Keras file of unknown origin without running code from it.

Pickles, and Keras files with Python code (Lambda layers, classes of other packages), run that code when they are
loaded. They are refused before anything is loaded. Files of Keras 2 are read too.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferstream.errors import ModelError, first_line
from ferstream.inference.keras_file import KerasFormat, check_weights, format_of, nodes, read_config, refuse_code

if TYPE_CHECKING:
    import keras

PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".dill", ".pt", ".pth", ".bin", ".npy"})

_PICKLE_OPENING = b"\x80"


def check_network(path: Path, weights: Path | None = None) -> dict[str, Any]:
    """Check that loading a network runs no code from the file, and that its parts have sane sizes; return its architecture.

    Raises:
        ModelError: The file is a pickle, contains code, is damaged or too large.
    """
    _refuse_pickle(path)
    if weights is not None:
        _refuse_pickle(weights)
    config = read_config(path)
    refuse_code(config, path)
    if weights is not None:
        check_weights(weights)
    return config


def read_network(path: Path, weights: Path | None = None) -> keras.Model:
    """Load a network, after ``check_network``.

    Raises:
        ModelError: The file is refused, or its weights are missing.
    """
    import keras

    config = check_network(path, weights)
    try:
        return _load(path, weights, config)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, NotImplementedError, RecursionError) as exc:
        raise ModelError(f"{path}: Keras {keras.__version__} cannot load it: {first_line(exc)}") from exc


def _load(path: Path, weights: Path | None, config: dict[str, Any]) -> keras.Model:
    import keras

    if format_of(path) is KerasFormat.JSON:
        if weights is None:
            raise ModelError(f"{path}: has no weights; give them with --weights FILE.h5")
        if "module" not in config:
            return _load_keras2(config, weights)
        network = keras.models.model_from_json(json.dumps(config))
        network.load_weights(weights)
        return network
    if format_of(path) is KerasFormat.HDF5 and "module" not in config:
        return _load_keras2(config, path)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _load_keras2(config: dict[str, Any], weights: Path) -> keras.Model:
    """Combine a Keras 2 architecture and its weights in a whole-model ``.h5``, the only Keras 2 format that Keras 3 reads."""
    import h5py
    import keras

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
    for node in [node for node in nodes(plain) if "class_name" in node and isinstance(node.get("config"), dict)]:
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
        opening = stream.read(1)
    if path.suffix.lower() in PICKLES or opening.startswith(_PICKLE_OPENING) or _is_pickled_zip(path):
        msg = (
            f"{path}: is a pickled model, and unpickling runs any code that is in the file; refused. "
            "Ask for the weights as .h5 or .keras, or load it on a machine without secrets and call model.save('model.keras')"
        )
        raise ModelError(msg)


def _is_pickled_zip(path: Path) -> bool:
    """Return whether a file is an archive of torch, which holds a pickle."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
