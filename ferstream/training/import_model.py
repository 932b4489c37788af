"""Taking an older project's network into a bundle: ``model.json`` + weights, ``.h5``, ``.hdf5``, ``.keras``.

A model file is a stranger's file. Pickles, and Keras files that carry Python code (Lambda layers, classes of
other packages), run that code when they are loaded, so they are refused before anything is loaded.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.inference.classifier import CROP_PX
from ferstream.training.serving import serving_model

PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".dill", ".pt", ".pth", ".bin", ".npy"})
RANGES: dict[str, tuple[float, float]] = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""What a network was fed: scale and offset from 0..255."""

_ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "calm": "neutral",
}
_PICKLE_OPENING = b"\x80"
_HDF5_OPENING = b"\x89HDF\r\n\x1a\n"
_OWN_CODE = frozenset({"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
"""Layers of Keras that carry code or a pickle of their own."""
_TRUSTED_MODULES = ("keras", "builtins")


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read and how it will be fed.

    Attributes:
        served: The model in the served form.
        notes: What was decided, a line each, for people.
    """

    served: keras.Model
    notes: tuple[str, ...]


def import_network(path: Path, *, weights: Path | None = None, labels: Sequence[str] = LABELS, value_range: str | None = None) -> Imported:
    """Read an older network and wrap it into the served form.

    Args:
        path: ``.json`` (with ``weights``), ``.h5``, ``.hdf5`` or ``.keras``.
        weights: The ``.h5`` of the weights when ``path`` is the architecture.
        labels: Meaning of its outputs, in their order; usual synonyms are understood.
        value_range: A key of ``RANGES``; None: ``0..255`` when it scales inside, else ``0..1``.

    Raises:
        ModelError: The file is refused, unreadable, or has other inputs or outputs; the message says what to do.
    """
    order = label_order(labels)
    network = read_network(path, weights)
    if value_range is None:
        value_range = "0..255" if _scales_inside(network) else "0..1"
    elif value_range not in RANGES:
        raise ModelError(f"range {value_range!r} is unknown; choose one of {', '.join(RANGES)}")
    adapted, notes = _adapted(network, path, value_range)
    if adapted.output_shape[-1] != len(LABELS):
        raise ModelError(
            f"{path}: has {adapted.output_shape[-1]} outputs, ferstream's labels are {len(LABELS)}; train it again with these labels"
        )
    in_order = order == list(range(len(LABELS)))
    moved = "outputs are in ferstream's label order" if in_order else "outputs were reordered to " + ", ".join(LABELS)
    return Imported(served=serving_model(adapted, order=None if in_order else order), notes=(*notes, moved))


def label_order(labels: Sequence[str]) -> list[int]:
    """Return for each of ``LABELS`` the position it has in ``labels``.

    Raises:
        ModelError: A label is unknown, missing or doubled.
    """
    names = [_ALIASES.get(name.strip().lower(), name.strip().lower()) for name in labels]
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise ModelError(f"label {unknown[0]!r} is unknown; give the model's own order of {', '.join(LABELS)}")
    if sorted(names) != sorted(LABELS):
        missing = ", ".join(name for name in LABELS if name not in names) or "none"
        raise ModelError(f"labels: expected each of {', '.join(LABELS)} once, got {', '.join(names)} (missing: {missing})")
    return [names.index(label) for label in LABELS]


def read_network(path: Path, weights: Path | None = None) -> keras.Model:
    """Load a network after making sure that loading it runs nobody's code.

    Raises:
        ModelError: It is a pickle, carries code, is damaged, or its weights are missing.
    """
    _refuse_pickle(path)
    if weights is not None:
        _refuse_pickle(weights)
    config = _read_config(path)
    _refuse_code(config, path)
    try:
        return _load(path, weights, config)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, NotImplementedError) as exc:
        raise ModelError(f"{path}: Keras {keras.__version__} cannot load it: {_first_line(exc)}") from exc


def _load(path: Path, weights: Path | None, config: dict[str, Any]) -> keras.Model:
    if path.suffix == ".json":
        if weights is None:
            raise ModelError(f"{path}: is an architecture without weights; give them with --weights FILE.h5")
        if "module" not in config:
            return _load_keras2(config, weights)
        network = keras.models.model_from_json(json.dumps(config))
        network.load_weights(weights)
        return network
    if not zipfile.is_zipfile(path) and "module" not in config:
        return _load_keras2(config, path)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _load_keras2(config: dict[str, Any], weights: Path) -> keras.Model:
    """Join a Keras 2 architecture and its weights to the whole-model ``.h5`` of that time, the one form of it Keras 3 still reads."""
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
    """Say the input shape the way Keras 3 wants it: by an input layer in front of a Sequential, under the key ``batch_shape``."""
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
            f"{path}: is a pickled model, and unpickling runs whatever code its maker put in; refused. "
            "Ask for the weights as .h5 or .keras, or load it where you trust it and call model.save('model.keras')"
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
        msg = f"{path}: holds weights without an architecture; give the model.json and this file as --weights"
        raise ModelError(msg) from exc
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise ModelError(f"{path}: is not a Keras model: {_first_line(exc)}") from exc
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path}: is not the architecture of a Keras model: it has no class_name")
    return config


def _refuse_code(config: dict[str, Any], path: Path) -> None:
    for node in _nodes(config):
        kind, module = node.get("class_name"), node.get("module")
        if kind in _OWN_CODE:
            what = str(kind).strip("_").capitalize() if "lambda" in str(kind).lower() else kind
            msg = f"{path}: has a {what} layer, whose Python code would run on loading; refused. Replace it by a Keras layer and save again"
            raise ModelError(msg)
        if isinstance(module, str) and module.split(".")[0] not in _TRUSTED_MODULES:
            raise ModelError(
                f"{path}: needs {module}.{kind}, code that is not part of Keras; refused. Rebuild it from Keras layers and save again"
            )


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON tree."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _scales_inside(network: keras.Model) -> bool:
    first = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)][:1]
    return any(isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) for layer in first)


def _adapted(network: keras.Model, path: Path, value_range: str) -> tuple[keras.Model, tuple[str, ...]]:
    """Put grey 48x48 0..255 in front of whatever the network takes."""
    shape = tuple(network.input_shape) if isinstance(network.input_shape, tuple) else ()
    if len(shape) != 4 or None in shape[1:] or shape[3] not in {1, 3}:
        raise ModelError(f"{path}: takes {network.input_shape}, expected one picture (None, height, width, 1 or 3), channels last")
    height, width, channels = shape[1:]
    scale, offset = RANGES[value_range]
    given = keras.Input((CROP_PX, CROP_PX, 1), name="grey")
    value = keras.layers.Rescaling(scale, offset, name="to_its_range")(given)
    notes = [f"it is fed {value_range}" + (" (guessed; --range corrects it)" if value_range == "0..1" else "")]
    if (height, width) != (CROP_PX, CROP_PX):
        value = keras.layers.Resizing(height, width, interpolation="bilinear", name="to_its_size")(value)
        notes.append(f"crops are resized to {width}x{height} inside the model")
    if channels == 3:
        value = keras.layers.Concatenate(name="to_three_channels")([value, value, value])
        notes.append("grey is repeated on three channels")
    return keras.Model(given, network(value), name=network.name), tuple(notes)


def _first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
