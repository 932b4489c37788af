"""Checkpoints that a kill or a full disk cannot damage: written to a second file, flushed, then renamed."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.errors import DataError

_META = "meta"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a run.

    Attributes:
        arrays: Lists of arrays by name, such as the weights.
        meta: Values that JSON can hold, such as the recipe.
    """

    arrays: dict[str, list[npt.NDArray[Any]]]
    meta: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint``. At any moment ``path`` is either the complete old file or the complete new one.

    Raises:
        DataError: The disk is full or the folder cannot be written. The old file is intact.
    """
    unfinished = path.with_name(path.name + ".part")
    named = {f"{group}/{i:05d}": array for group, arrays in checkpoint.arrays.items() for i, array in enumerate(arrays)}
    named[_META] = np.frombuffer(json.dumps(checkpoint.meta).encode(), np.uint8)
    try:
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **named)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        kept = f"; the checkpoint before, {path}, is intact" if path.exists() else ""
        raise DataError(f"{path}: the checkpoint could not be written: {error.strerror or error}{kept}") from error


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        DataError: The file is missing, damaged, or not a checkpoint of ferstream.
    """
    try:
        # Opened here, because np.load does not close a file that it cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            meta = json.loads(file[_META].tobytes())
            arrays: dict[str, list[npt.NDArray[Any]]] = {}
            for name in sorted(set(file.files) - {_META}):
                arrays.setdefault(name.partition("/")[0], []).append(file[name])
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a checkpoint of ferstream: {error}") from error
    return Checkpoint(arrays=arrays, meta=meta)
