"""What is wrong with a set of faces: blank or broken pictures, copies within and across splits."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from ferstream.training.data.dataset import VOTE_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ferstream.training.data.dataset import FaceSet

BLANK_STD = 4.0
"""Grey levels: a picture that varies less shows nothing (FER2013's darkest real faces vary by 8)."""
BROKEN_DISTINCT = 12
"""A photograph of a face has more grey levels than this; clip art and message boxes have fewer."""


@dataclass(frozen=True, slots=True)
class Quality:
    """One boolean (N,) mask a fault; a face can have several.

    ``blank``: no contrast. ``broken``: hardly any grey levels, or voters saw no face.
    ``repeated``: the same pixels stand earlier in the same split. ``leaked``: a Training face
    whose pixels are also in a test split. ``seen``: a test face whose pixels are in Training.
    ``unreadable`` counts files that could not be decoded: they are no rows, and broken all the same.
    """

    blank: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    leaked: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    unreadable: int = 0

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Faces that training keeps, (N,) boolean."""
        return self.kept()

    def kept(self, *, keep_faulty: bool = False) -> NDArray[np.bool_]:
        """Return the faces that training keeps, (N,) boolean; ``leaked`` ones never, for they would spoil every score."""
        return ~self.leaked if keep_faulty else ~(self.blank | self.broken | self.repeated | self.leaked)

    def counts(self) -> dict[str, int]:
        """Return how many faces have each fault; unreadable files count as broken."""
        counts = {name: int(getattr(self, name).sum()) for name in ("blank", "broken", "repeated", "leaked", "seen")}
        counts["broken"] += self.unreadable
        return counts


def inspect(faces: FaceSet) -> Quality:
    """Find the faults of ``faces``; compares pixels byte for byte, so near copies stay."""
    keys = pixel_keys(faces.pixels)
    training = faces.usages == "Training"
    in_training = np.isin(keys, keys[training])
    in_tests = np.isin(keys, keys[~training])
    return Quality(
        blank=faces.pixels.reshape(len(faces), -1).std(axis=1) < BLANK_STD,
        broken=_broken(faces),
        repeated=_repeated(keys, faces.usages),
        leaked=training & in_tests,
        seen=~training & in_training,
        unreadable=len(faces.unreadable),
    )


def pixel_keys(pixels: NDArray[np.uint8]) -> NDArray[np.str_]:
    """Return a digest (N,) of each picture's bytes: equal pictures, equal digest."""
    return np.array([blake2b(face.tobytes(), digest_size=16).hexdigest() for face in pixels], np.str_)


def _repeated(keys: NDArray[np.str_], usages: NDArray[np.str_]) -> NDArray[np.bool_]:
    in_split = np.char.add(np.char.add(usages, ":"), keys)
    _, first = np.unique(in_split, return_index=True)
    repeated = np.ones(len(keys), np.bool_)
    repeated[first] = False
    return repeated


def _broken(faces: FaceSet) -> NDArray[np.bool_]:
    distinct = np.array([len(np.unique(face)) for face in faces.pixels], np.int64)
    broken = distinct < BROKEN_DISTINCT
    if faces.votes is not None:
        no_face = faces.votes[:, VOTE_NAMES.index("NF")]
        broken = broken | (2 * no_face > faces.votes.sum(axis=1))
    return np.asarray(broken, np.bool_)
