"""What ties a run's folder to its recipe and its faces: going on with others is refused, never mixed in."""

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
"""Key of the faces' digests in a checkpoint's facts."""


def data_digests(training: FaceSet, validation: FaceSet) -> dict[str, str]:
    """Return what tells these faces from others: digests of pixels, labels and votes, and the split that validates."""
    return {
        "training faces": _digest(training),
        "validation faces": _digest(validation),
        "validation split": ", ".join(np.unique(validation.usages).tolist()),
    }


def check_same_data(path: Path, saved: dict[str, Any], ours: dict[str, str]) -> None:
    """Refuse to go on with other faces: the folder's weights would be published as a model of these.

    Args:
        path: The checkpoint.
        saved: Its facts.
        ours: ``data_digests`` of this run.

    Raises:
        DataError: The checkpoint is of other faces, or does not say of which.
    """
    theirs = saved.get(DATA)
    if not isinstance(theirs, dict):
        raise DataError(f"{path.parent}: its checkpoint does not say of which faces it is; choose another --out")
    other = [what for what in ours if theirs.get(what) != ours[what]]
    if other:
        raise DataError(f"{path.parent}: the run was started with other {' and '.join(other)}; choose another --out")


def check_same_recipe(path: Path, saved: dict[str, Any], recipe: Recipe) -> None:
    """Refuse to go on with other settings than a run was started with.

    Raises:
        DataError: The checkpoint is of another architecture or recipe; more epochs are fine where the
            schedule does not depend on their number.
    """
    ours = asdict(recipe)
    theirs = asdict(Recipe()) | saved
    if theirs["arch"] != ours["arch"]:
        raise DataError(f"{path}: a checkpoint of the architecture {theirs['arch']!r}, not {ours['arch']!r}; choose another --out")
    free = {"epochs", "patience_epochs"} if recipe.schedule != "cosine" else {"patience_epochs"}
    for key in sorted(set(ours) - free):
        if theirs.get(key) != ours[key]:
            raise DataError(f"{path}: the run was started with {key} = {theirs.get(key)!r}, not {ours[key]!r}; choose another --out")


def _digest(faces: FaceSet) -> str:
    digest = blake2b(digest_size=16)
    for array in (faces.pixels, faces.labels, faces.votes):
        digest.update(b"none" if array is None else str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
