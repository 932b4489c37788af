"""The keys of the settings: their dotted names, their variables, and the marks of their fields."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from ferstream.settings.fields import NotInFile, Section
from ferstream.settings.model import CameraSettings, Settings
from ferstream.settings.problems import KeyPath

ENV_PREFIX = "FERSTREAM_"
CAMERAS = "cameras"
MOVED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("mqtt", "max_hz_per_face"): ("publishing", "max_hz_per_face"),
    ("mqtt", "summary_interval_s"): ("publishing", "summary_interval_s"),
}
"""Keys whose old place still works: old path and new path."""


@cache
def known_keys() -> tuple[str, ...]:
    """Return every dotted key; keys of cameras are written as ``cameras.source``."""
    return tuple(".".join(path) for path in _fields())


def env_names() -> tuple[str, ...]:
    """Return the variable of every key; a camera's key has a place for its name: ``FERSTREAM_CAMERAS__<NAME>__SOURCE``."""
    names = (key.upper().replace(".", "__") for key in known_keys())
    return tuple(ENV_PREFIX + name.replace("CAMERAS__", "CAMERAS__<NAME>__") for name in names)


def field_at(path: KeyPath) -> FieldInfo | None:
    """Return the model's field of a value, by its path (cameras by index); None if the path is not that of a value."""
    names = tuple(part for part in path if isinstance(part, str))
    return _fields().get(MOVED.get(names, names))


def marks(info: FieldInfo) -> Iterator[Any]:
    """Yield the annotations of a field's type, those inside ``X | None`` too."""
    yield from info.metadata
    for part in getattr(info.annotation, "__args__", ()):
        yield from getattr(part, "__metadata__", ())


def secret_keys(table: type[Section]) -> dict[str, NotInFile]:
    """Return the keys of a table that hold a secret."""
    return {key: mark for key, info in table.model_fields.items() for mark in marks(info) if isinstance(mark, NotInFile)}


@cache
def _fields() -> dict[tuple[str, ...], FieldInfo]:
    return dict(_walk(Settings))


def _walk(table: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, info in table.model_fields.items():
        inner = CameraSettings if (*path, name) == (CAMERAS,) else info.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _walk(inner, (*path, name))
        else:
            yield (*path, name), info
