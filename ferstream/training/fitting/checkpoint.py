"""Checkpoints that a kill or a full disk cannot break: written beside, flushed, then renamed."""

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
    """All that a run needs to go on: groups of arrays by name, and JSON facts about the run."""

    arrays: dict[str, list[npt.NDArray[Any]]]
    meta: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` so that ``path`` holds either the old or the new one, never a part.

    Raises:
        DataError: the disk is full or the folder cannot be written; the last one is intact.
    """
    beside = path.with_name(path.name + ".part")
    named = {f"{group}/{i:05d}": array for group, arrays in checkpoint.arrays.items() for i, array in enumerate(arrays)}
    named[_META] = np.frombuffer(json.dumps(checkpoint.meta).encode(), np.uint8)
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **named)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        kept = f"; the last good checkpoint {path} is intact" if path.exists() else ""
        raise DataError(f"{path}: the checkpoint could not be written: {error.strerror or error}{kept}") from error


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        DataError: it is missing or not one of ours.
    """
    try:
        # Opened here: np.load leaves a file it cannot read open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            meta = json.loads(file[_META].tobytes())
            arrays: dict[str, list[npt.NDArray[Any]]] = {}
            for name in sorted(set(file.files) - {_META}):
                arrays.setdefault(name.partition("/")[0], []).append(file[name])
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: this is no checkpoint of ferstream: {error}") from error
    return Checkpoint(arrays=arrays, meta=meta)
