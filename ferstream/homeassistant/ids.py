"""Ids of devices, as discovery topics and Home Assistant allow them: letters, digits, ``_`` and ``-``."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_MAX_NAME = 32
_HASH_DIGITS = 8


def device_id(*names: str) -> str:
    """Return an id made of names: readable, the same in every run, and different for different names.

    Characters that an id must not hold are replaced, so that two names may look alike; a hash of the names tells them apart.

    Args:
        names: What identifies the device: the prefix of its topics, its node and, for a camera, the camera.
    """
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return "_".join(["ferstream", *filter(None, map(plain, names[1:])), digest])


def plain(name: str) -> str:
    """Return a name with the characters of an id only, at most 32; empty if none is left."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_only).strip("_")[:_MAX_NAME]
