"""Check that a checkpoint belongs to this run: the same recipe and the same faces."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.fitting.recipe import Recipe

DATA = "data"
"""Key of the digests of the faces in a checkpoint's ``meta``."""

TEACHERS = "teachers"
"""Key of the digest of the teachers' weights beside those of the faces."""


def data_digests(training: FaceSet, validation: FaceSet) -> dict[str, str]:
    """Return what identifies the faces of a run: digests of pixels, labels and votes, and the name of the validation split."""
    return {
        "training faces": _digest(training),
        "validation faces": _digest(validation),
        "validation split": ", ".join(np.unique(validation.usages).tolist()),
    }


def check_same_data(path: Path, saved: dict[str, Any], digests: dict[str, str]) -> None:
    """Refuse to resume from a checkpoint that was trained on other faces.

    The run would otherwise write a bundle whose weights come from the old faces and whose scores come from the new ones.

    Args:
        path: The checkpoint.
        saved: Its ``meta``.
        digests: ``data_digests`` of this run.

    Raises:
        DataError: The checkpoint has other digests, or none.
    """
    before = saved.get(DATA)
    if not isinstance(before, dict):
        raise DataError(f"{path.parent}: the checkpoint does not record its faces; choose another --out")
    changed = [what for what in digests if before.get(what) != digests[what]]
    if changed:
        raise DataError(f"{path.parent}: the run was started with other {' and '.join(changed)}; choose another --out")


def check_same_recipe(path: Path, saved: dict[str, Any], recipe: Recipe) -> None:
    """Refuse to resume with other settings than the run was started with.

    ``patience_epochs`` may change, and ``epochs`` too where the schedule does not depend on it.

    Args:
        path: The checkpoint.
        saved: Its recipe; settings that it lacks have their defaults.
        recipe: The recipe of this run.

    Raises:
        DataError: The architecture or another setting differs.
    """
    now = asdict(recipe)
    before = asdict(Recipe()) | saved
    if before["arch"] != now["arch"]:
        raise DataError(f"{path}: the checkpoint has the architecture {before['arch']!r}, not {now['arch']!r}; choose another --out")
    may_change = {"epochs", "patience_epochs"} if recipe.schedule != "cosine" else {"patience_epochs"}
    for key in sorted(set(now) - may_change):
        if before.get(key) != now[key]:
            raise DataError(f"{path}: the run was started with {key} = {before.get(key)!r}, not {now[key]!r}; choose another --out")


def _digest(faces: FaceSet) -> str:
    digest = blake2b(digest_size=16)
    for array in (faces.pixels, faces.labels, faces.votes):
        digest.update(b"none" if array is None else str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
