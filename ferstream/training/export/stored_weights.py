"""Store the weights of a ``.keras`` file in float16, which halves it.

Keras converts each array to the precision of its variable when it loads the file, so that the loaded model computes as before,
with weights that are rounded to 11 bits.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferstream.errors import ModelError

if TYPE_CHECKING:
    import h5py

_WEIGHTS = "model.weights.h5"


def store_in_float16(path: Path) -> None:
    """Replace the float32 arrays of a ``.keras`` file by float16; other members and arrays stay as they are.

    Raises:
        ModelError: A weight is too large for float16.
    """
    smaller = path.with_name(f".{path.stem}.half.keras")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(smaller, "w") as target:
        for member in source.infolist():
            content = source.read(member)
            target.writestr(member.filename, _in_float16(content, path) if member.filename == _WEIGHTS else content)
    smaller.replace(path)


def _in_float16(content: bytes, path: Path) -> bytes:
    import h5py

    result = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as source, h5py.File(result, "w") as target:
        _copy(source, target, path)
    return result.getvalue()


def _copy(source: h5py.Group, target: h5py.Group, path: Path) -> None:
    """Copy a group of HDF5 with its attributes and everything in it."""
    import h5py

    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name), path)
        else:
            copied = target.create_dataset(name, data=_rounded(item[()], f"{path}: {item.name}"))
            for key, value in item.attrs.items():
                copied.attrs[key] = value


def _rounded(value: Any, name: str) -> Any:
    if getattr(value, "dtype", None) != np.float32:
        return value
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    if not np.isfinite(half).all():
        raise ModelError(f"{name}: a weight of {np.abs(value).max():.3g} does not fit into float16; store it in float32")
    return half
