"""Read a Keras file of unknown origin without running code from it.

Pickles, and Keras files with Python code (Lambda layers, classes of other packages), run that code when they are
loaded. They are refused before anything is loaded. Files of Keras 1 and 2 are read too.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferstream.errors import ModelError, first_line
from ferstream.inference.keras_file import TRUSTED_MODULES, KerasFormat, check_weights, format_of, nodes, read_config, refuse_code
from ferstream.training.keras2_files import copied_weights, written_by_old_keras

if TYPE_CHECKING:
    import keras

PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".dill", ".pt", ".pth", ".bin", ".npy"})

_PICKLE_OPENING = b"\x80"
MAX_REASON = 200
"""Longest text of Keras in an error message, in characters."""
_OLD_MODULES = (*TRUSTED_MODULES, "tensorflow", "tf_keras")
"""Packages whose classes an architecture of Keras 1 or 2 may name. Only the name of the class is used."""


def check_network(path: Path, weights: Path | None = None) -> dict[str, Any]:
    """Check that loading a network runs no code from the file, and that its parts have sane sizes; return its architecture.

    Raises:
        ModelError: The file is a pickle, contains code, is damaged or too large, has its channels first, or its weights are missing.
    """
    _refuse_pickle(path)
    if weights is not None:
        _refuse_pickle(weights)
    config = read_config(path)
    refuse_code(config, path, _OLD_MODULES if written_by_old_keras(path, config) else TRUSTED_MODULES)
    _refuse_channels_first(config, path)
    if weights is not None:
        check_weights(weights)
    elif format_of(path) is KerasFormat.JSON:
        raise ModelError(f"{path}: has no weights; give them with --weights FILE.h5")
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
        raise ModelError(f"{path}: Keras {keras.__version__} cannot load it: {_shortened(first_line(exc))}") from exc


def _shortened(text: str) -> str:
    """Return the start of a message: Keras puts whole architectures into some."""
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 3] + "..."


def _load(path: Path, weights: Path | None, config: dict[str, Any]) -> keras.Model:
    import keras

    kind = format_of(path)
    old = written_by_old_keras(path, config)
    if kind is not KerasFormat.JSON and not old:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    if old:
        from ferstream.training.keras2_config import as_keras3  # needs Keras, and there are commands that only check a file

        config = as_keras3(config, path)
    network = keras.models.model_from_json(json.dumps(config))
    with tempfile.TemporaryDirectory(prefix="ferstream-import-") as scratch:
        network.load_weights(copied_weights(weights or path, Path(scratch)))
    return network


def _refuse_channels_first(config: dict[str, Any], path: Path) -> None:
    for node in nodes(config):
        if node.get("data_format") == "channels_first" or node.get("dim_ordering") == "th":
            raise ModelError(
                f"{path}: layer {node.get('name')} has its channels first, which does not run here; "
                "build the network with channels_last, give it the same weights, and save it again"
            )


def _refuse_pickle(path: Path) -> None:
    if not path.exists():
        raise ModelError(f"{path}: does not exist")
    if path.is_dir():
        raise ModelError(f"{path}: {_folder_hint(path)}")
    if not path.is_file():
        raise ModelError(f"{path}: is not a file")
    with path.open("rb") as stream:
        opening = stream.read(1)
    if path.suffix.lower() in PICKLES or opening.startswith(_PICKLE_OPENING) or _is_pickled_zip(path):
        msg = (
            f"{path}: is a pickled model, and unpickling runs any code that is in the file; refused. "
            "Ask for the weights as .h5 or .keras, or load it on a machine without secrets and call model.save('model.keras')"
        )
        raise ModelError(msg)


def _folder_hint(folder: Path) -> str:
    if (folder / "saved_model.pb").is_file():
        return (
            "is a TensorFlow SavedModel, which holds operations instead of layers; "
            "load it with the Keras that saved it, call model.save('model.h5'), and import that file"
        )
    return "is a folder; give a file, such as the .keras or .h5 in it"


def _is_pickled_zip(path: Path) -> bool:
    """Return whether a file is an archive of torch, which holds a pickle."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
