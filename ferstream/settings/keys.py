"""The model's keys by their dotted names and variables, and text turned into what a key wants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ferstream.settings.fields import NotInFile, Section
from ferstream.settings.model import CameraSettings, Settings

ENV_PREFIX = "FERSTREAM_"
CAMERAS = "cameras"
MOVED: dict[tuple[str, ...], tuple[str, ...]] = {("mqtt", key): ("publishing", key) for key in ("max_hz_per_face", "summary_interval_s")}
"""Keys whose old place still works: old path, new path."""
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def known_keys() -> tuple[str, ...]:
    """Return every dotted key, cameras' keys as ``cameras.source``."""
    return tuple(".".join(path) for path, _ in walk(Settings))


def env_names() -> tuple[str, ...]:
    """Return every variable's name; a camera's key has the place of its name: ``FERSTREAM_CAMERAS__<NAME>__SOURCE``."""
    names = (key.upper().replace(".", "__") for key in known_keys())
    return tuple(ENV_PREFIX + name.replace("CAMERAS__", "CAMERAS__<NAME>__") for name in names)


def walk(model: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield every key of the model with its path, tables entered."""
    for name, info in model.model_fields.items():
        inner = CameraSettings if path == () and name == CAMERAS else info.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from walk(inner, (*path, name))
        else:
            yield (*path, name), info


def field_at(path: tuple[str | int, ...]) -> FieldInfo | None:
    """Return the model's field at a path (cameras by number), None if there is none that holds a value."""
    names = tuple(part for part in path if isinstance(part, str))
    return Settings.model_fields[CAMERAS] if names == (CAMERAS,) else dict(walk(Settings)).get(MOVED.get(names, names))


def from_text(text: str, info: FieldInfo) -> Any:
    """Turn text into the kind a key wants; what fits nothing stays text, so that the model says what is wrong."""
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]
    candidates = list(_readings(text))
    for acceptable in (_fits, _is_right_kind):
        for candidate in candidates:
            if acceptable(adapter, candidate):
                return candidate
    return text


def is_secret(info: FieldInfo) -> bool:
    """Whether a key holds a secret."""
    return any(isinstance(mark, NotInFile) for mark in marks(info))


def marks(info: FieldInfo) -> Iterator[Any]:
    """Yield what a key's kind is annotated with, inside ``X | None`` too."""
    yield from info.metadata
    for part in getattr(info.annotation, "__args__", ()):
        yield from getattr(part, "__metadata__", ())


def _readings(text: str) -> Iterator[Any]:
    yield text
    for read in (int, float, _word, json.loads):
        try:
            yield read(text)
        except (ValueError, KeyError, RecursionError):
            continue


def _word(text: str) -> bool:
    return _WORDS[text.strip().lower()]


def _fits(adapter: TypeAdapter[Any], value: object) -> bool:
    return not _error_kinds(adapter, value)


def _is_right_kind(adapter: TypeAdapter[Any], value: object) -> bool:
    return not any(kind.endswith(("_type", "_parsing")) for kind in _error_kinds(adapter, value))


def _error_kinds(adapter: TypeAdapter[Any], value: object) -> list[str]:
    try:
        adapter.validate_python(value)
    except ValidationError as exc:
        return [error["type"] for error in exc.errors(include_url=False, include_input=False)]
    return []
