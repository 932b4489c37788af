"""Names of annotated pictures: one for each picture, also where pictures have one stem or the file system ignores case."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

SUFFIX = ".faces.png"
_LONGEST_STEM_BYTES = 255 - len(SUFFIX) - len("-99999")
"""File systems take names of up to 255 bytes."""


def output_names(pictures: Sequence[Path], *, taken: Iterable[str] = ()) -> list[str]:
    """Return a file name for the annotated picture of each picture: NAME.faces.png, or NAME-2.faces.png where that is taken.

    The first picture of a name gets it, whatever numbers other pictures need. Names that differ only in case or in the
    form of accents count as one, because some file systems store them as one file.

    Args:
        pictures: The pictures, in the order in which names are given.
        taken: Names of files in the same folder that must not be overwritten.
    """
    used = {_key(name) for name in taken}
    stems = [_shortened(picture.stem) for picture in pictures]
    names: list[str | None] = [_take(stem + SUFFIX, used) for stem in stems]
    for index, stem in enumerate(stems):
        number = 2
        while names[index] is None:
            names[index] = _take(f"{stem}-{number}{SUFFIX}", used)
            number += 1
    return [name for name in names if name is not None]


def _take(name: str, used: set[str]) -> str | None:
    key = _key(name)
    if key in used:
        return None
    used.add(key)
    return name


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _shortened(stem: str) -> str:
    encoded = os.fsencode(stem)
    return stem if len(encoded) <= _LONGEST_STEM_BYTES else encoded[:_LONGEST_STEM_BYTES].decode(errors="ignore")
