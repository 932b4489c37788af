"""Labelled faces in memory: what readers return, and what training and evaluation work on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

USAGES: tuple[str, ...] = ("Training", "PublicTest", "PrivateTest")
"""Names of the splits of FER2013, in the order of its file."""

VOTE_NAMES: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""Columns of FER+'s votes, in the order of its file."""


_MAX_NAMED = 3
"""Most left-out files that are named."""


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Faces with their labels. Every array has one entry a face.

    Attributes:
        pixels: (N, 48, 48) uint8, grey, 0..255.
        labels: (N,) int64, index into ``LABELS``.
        usages: (N,) str, the split of each face, one of ``USAGES``.
        rows: (N,) int64, line or file number in ``source``, from 1.
        votes: (N, 10) int64, FER+ votes in ``VOTE_NAMES`` order; None without votes.
        source: Path of the csv or folder, for messages.
        unreadable: Files that could not be decoded. They are not among the faces.
        without_face: Photos in which no face was found. They are not among the faces.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    usages: NDArray[np.str_]
    rows: NDArray[np.int64]
    votes: NDArray[np.int64] | None
    source: str
    unreadable: tuple[str, ...] = ()
    without_face: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that pixels and labels have the same length."""
        expected = (len(self.labels), FACE_SIZE_PX, FACE_SIZE_PX)
        if self.pixels.shape != expected or self.pixels.dtype != np.uint8:
            raise DataError(f"{self.source}: faces must be uint8 {expected}, got {self.pixels.dtype} {self.pixels.shape}")

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.labels)

    def where(self, mask: NDArray[np.bool_] | NDArray[np.int64]) -> FaceSet:
        """Return the faces selected by ``mask``: boolean (N,), or indices in the wanted order."""
        picked = {
            field.name: getattr(self, field.name)[mask] for field in fields(self) if isinstance(getattr(self, field.name), np.ndarray)
        }
        return replace(self, **picked)

    def left_out(self) -> list[str]:
        """Return a line for each kind of file that is not among the faces, with the names of the first ones."""
        kinds = {"skipped, cannot be decoded": self.unreadable, "skipped, no face was found": self.without_face}
        return [f"{kind}: {_first_of(names)}" for kind, names in kinds.items() if names]

    def of_usage(self, usage: str) -> FaceSet:
        """Return the faces of one split.

        Raises:
            DataError: The split has no faces.
        """
        part = self.where(self.usages == usage)
        if len(part) == 0:
            present = sorted(set(self.usages.tolist()))
            raise DataError(f"{self.source}: the split {usage} is empty; it has rows of {', '.join(present)}")
        return part


def _first_of(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
