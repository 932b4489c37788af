"""Which Keras wrote a model file, and its weights under the names that Keras 3 looks for. Keras is not imported."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferstream.inference.keras_file import KerasFormat, format_of

if TYPE_CHECKING:
    import h5py

_LAYERS, _LAYERS_OF_KERAS_2 = "layers", "_layer_checkpoint_dependencies"
"""Group of the layers in the layout of Keras 3, and its name in Keras 2.12 to 2.14."""


def written_by_old_keras(path: Path, config: dict[str, Any]) -> bool:
    """Return whether Keras 1 or 2 wrote a model: its file names the version, and Keras 3 always a module too.

    Args:
        path: A file that ``keras_file.read_config`` accepts.
        config: Its architecture.
    """
    version = str(_keras_version(path, config) or "")
    return version.startswith(("1.", "2.")) or (not version and "module" not in config)


def copied_weights(source: Path, folder: Path) -> Path:
    """Copy the weights of a file into a folder, under a name that tells Keras 3 their layout; return the copy.

    Keras has two layouts. One names the layers (all versions), one counts them by class (from 2.12 on). The counts of Keras 2.12
    to 2.14 leave numbers out: layers with weights are counted twice.

    Raises:
        ValueError: The file has no weights.
        KeyError: The archive has no weights.
    """
    import h5py

    if format_of(source) is KerasFormat.ARCHIVE:
        with zipfile.ZipFile(source) as archive:
            source = Path(archive.extract("model.weights.h5", folder))
    with h5py.File(source, "r", locking=False) as file:
        if "layer_names" in file.attrs or "model_weights" in file:
            return Path(shutil.copyfile(source, folder / "named.h5"))
        if _LAYERS not in file and _LAYERS_OF_KERAS_2 not in file:
            raise ValueError(f"{source.name} does not hold the weights of a Keras model")
        target = folder / "counted.weights.h5"
        with h5py.File(target, "w", locking=False) as copy:
            _copy_group(file, copy)
    return target


def _copy_group(source: h5py.Group, target: h5py.Group) -> None:
    """Copy the groups of a model; the layers of Keras 2 are counted anew."""
    for name in source:
        if name != _LAYERS_OF_KERAS_2:
            source.copy(name, target)
            continue
        layers = target.create_group(_LAYERS)
        counts: dict[str, int] = {}
        for key in sorted(source[name], key=_number):
            kind = _kind(key)
            count = counts[kind] = counts.get(kind, -1) + 1
            _copy_group(source[name][key], layers.create_group(f"{kind}_{count}" if count else kind))


def _kind(key: str) -> str:
    """Return the class in the name of a group: ``dense`` for ``dense_2``."""
    return re.sub(r"_\d+$", "", key)


def _number(key: str) -> int:
    found = re.search(r"_(\d+)$", key)
    return int(found[1]) if found else 0


def _keras_version(path: Path, config: dict[str, Any]) -> Any:
    kind = format_of(path)
    if kind is KerasFormat.JSON:
        return config.get("keras_version")
    if kind is KerasFormat.ARCHIVE:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
        return metadata.get("keras_version") if isinstance(metadata, dict) else None
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        version = file.attrs.get("keras_version")
    return version.decode(errors="replace") if isinstance(version, bytes) else version
