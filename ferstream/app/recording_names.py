"""Names of recordings: those of their cameras in the events, and those that people read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from ferstream.capture.file_bytes import STDIN
from ferstream.runtime.printable import printable

CAMERA_CHARS = 32
"""Length of the longest name of a camera."""


def camera_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for the camera of each recording, in their order; no two are equal.

    The first recording of a name has it; the others get ``-2``, ``-3`` and so on, whatever else has such a name.
    """
    wanted = [camera_name(path) for path in paths]
    used = set(wanted)
    names, first = [], set[str]()
    for name in wanted:
        names.append(_numbered(name, used) if name in first else name)
        first.add(name)
    return names


def _numbered(name: str, used: set[str]) -> str:
    """Return the first of ``name-2``, ``name-3``, ... that is not used, and add it."""
    candidates = (f"{name[: CAMERA_CHARS - 1 - len(str(number))]}-{number}" for number in count(2))
    candidate = next(found for found in candidates if found not in used)
    used.add(candidate)
    return candidate


def shown_name(path: Path) -> str:
    """Return the name of a recording without its folders, on one line; ``stdin`` for the standard input."""
    return "stdin" if path == STDIN else printable(path.name)


def camera_name(path: Path) -> str:
    """Return the name of the camera of a recording, made from the file's name: a-z, 0-9, _ and -, at most 32 characters."""
    path = Path("stdin") if path == STDIN else path
    return re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-")[:CAMERA_CHARS] or "video"
