"""Find faulty faces: blank or broken pictures, and copies within and across splits."""

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
"""A picture whose grey values have a smaller standard deviation is blank. FER2013's darkest real faces have 8."""
BROKEN_DISTINCT = 12
"""A picture with fewer distinct grey values is not a photograph but clip art or a message box."""


@dataclass(frozen=True, slots=True)
class Quality:
    """The faults of a set of N faces: one boolean mask (N,) a kind. A face can have several.

    Attributes:
        blank: The picture has no contrast.
        broken: The picture has hardly any grey values, or most voters saw no face.
        repeated: The same pixels occur earlier in the same split.
        leaked: A Training face whose pixels are also in a test split.
        seen: A test face whose pixels are also in Training.
        unreadable: Number of files that could not be decoded. They have no row, and count as broken.
    """

    blank: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    leaked: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    unreadable: int = 0

    def kept(self, *, keep_faulty: bool = False) -> NDArray[np.bool_]:
        """Return a mask (N,) of the faces that may train.

        Args:
            keep_faulty: Keep blank, broken and repeated faces. Leaked faces are always left out: they would make every
                test score too high.
        """
        return ~self.leaked if keep_faulty else ~(self.blank | self.broken | self.repeated | self.leaked)

    def counts(self) -> dict[str, int]:
        """Return the number of faces with each fault; unreadable files count as broken."""
        counts = {name: int(getattr(self, name).sum()) for name in ("blank", "broken", "repeated", "leaked", "seen")}
        counts["broken"] += self.unreadable
        return counts


def inspect(faces: FaceSet) -> Quality:
    """Find the faults of ``faces``. Pixels are compared byte for byte, so near copies are not found."""
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
    """Return a digest (N,) str of each picture (N, 48, 48); equal pictures have equal digests."""
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
