"""Select the faces of a training run: those that train and those that validate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferstream.errors import DataError
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.quality import Quality, inspect


@dataclass(frozen=True, slots=True)
class Selection:
    """The faces of one training run.

    Attributes:
        faces: All faces of all splits.
        quality: Their faults.
        usage: The split that validates, such as ``PublicTest``.
        keep_faulty: Whether blank, broken and repeated faces train too.
        training: The faces to learn from.
        validation: The faces that choose the best epoch and the temperature. None of them is in Training.
    """

    faces: FaceSet
    quality: Quality
    usage: str
    keep_faulty: bool
    training: FaceSet
    validation: FaceSet


def select(faces: FaceSet, *, usage: str = "PublicTest", keep_faulty: bool = False) -> Selection:
    """Select the training faces without faulty ones, and the faces of ``usage`` whose pixels are not in Training.

    Args:
        faces: All splits.
        usage: The split that validates.
        keep_faulty: Train on blank, broken and repeated faces too. Faces that are also in a test split never train.

    Raises:
        DataError: A split is empty.
    """
    quality = inspect(faces)
    return Selection(
        faces=faces,
        quality=quality,
        usage=usage,
        keep_faulty=keep_faulty,
        training=faces.where(quality.kept(keep_faulty=keep_faulty)).of_usage("Training"),
        validation=faces.where(~quality.seen).of_usage(usage),
    )


def first_rows(faces: FaceSet, rows: int) -> FaceSet:
    """Return at most the first ``rows`` faces of each split, for a quick trial."""
    keep = np.zeros(len(faces), np.bool_)
    for usage in np.unique(faces.usages):
        keep[np.flatnonzero(faces.usages == usage)[:rows]] = True
    return faces.where(keep)


def check_batch(faces: FaceSet, batch: int) -> None:
    """Check that ``faces`` fill at least one batch.

    Raises:
        DataError: There are fewer faces than ``batch``.
    """
    if len(faces) < batch:
        raise DataError(f"{faces.source}: {len(faces)} training faces are fewer than one batch of {batch}; give a smaller --batch")
