"""Where values come from: a TOML file, ``FERSTREAM_SECTION__KEY`` variables, flags. Later ones win, key by key."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ferstream.settings.fields import NotInFile, RelativeToFile, Section
from ferstream.settings.model import CameraSettings, Settings
from ferstream.settings.problems import (
    Origin,
    Problem,
    SettingsError,
    dotted,
    unknown_key,
    value_at,
)
from ferstream.settings.toml_lines import find_lines

ENV_PREFIX = "FERSTREAM_"
CAMERAS = "cameras"
MAX_FILE_BYTES = 1_000_000
_DEEPEST = 4
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


@dataclass(slots=True)
class Tree:
    """Raw values on their way to the model.

    Attributes:
        data: Nested tables, as TOML has them.
        origins: Where each value came from, by path.
        problems: What is wrong already.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str | int, ...], Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: tuple[str | int, ...]) -> Origin:
        """Return where a path, or the nearest table around it, came from."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, Origin("default"))


def read_toml(path: Path) -> Tree:
    """Read a file.

    Raises:
        SettingsError: It cannot be read or is no TOML.
    """
    text = _read_text(path)
    lines = find_lines(text)
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise SettingsError(_syntax_problems(path, exc, lines.repeated)) from exc
    tree = Tree(data=data)
    for where in _paths(data):
        tree.origins[where] = Origin(str(path), lines.of(where))
    _refuse_secrets(tree)
    _anchor_paths(tree, path.parent)
    return tree


def add_environment(tree: Tree, environ: Mapping[str, str]) -> None:
    """Lay the ``FERSTREAM_`` variables over the tree; an unknown one is a problem."""
    known = env_names()
    own = {name: value for name, value in environ.items() if name.upper().startswith(ENV_PREFIX)}
    # A camera's source first: it may bring the camera into being.
    for name in sorted(own, key=lambda n: (not n.endswith("__SOURCE"), n)):
        origin = Origin(f"environment {name}")
        parts = tuple(name[len(ENV_PREFIX) :].lower().split("__"))
        path = _camera_path(tree, parts) if parts[0] == CAMERAS and len(parts) == 3 else parts
        info = field_at(path) if path else None
        if path is None or info is None:
            tree.problems.append(Problem(origin, "", _unknown_variable(name, known, tree)))
        else:
            _put(tree, path, from_text(own[name], info), origin)


def add_flags(tree: Tree, flags: Mapping[str, Any]) -> None:
    """Lay flags over the tree: dotted keys, ``None`` for a flag that was not given. Text is taken as from the environment."""
    for key, value in flags.items():
        if value is None:
            continue
        parts = tuple(key.split("."))
        origin = Origin(f"flag --{key}")
        path = _camera_path(tree, parts) if parts[0] == CAMERAS and len(parts) == 3 else parts
        info = field_at(path) if path else None
        if path is None or info is None:
            tree.problems.append(Problem(origin, key, unknown_key(key, known_keys())))
        else:
            _put(
                tree,
                path,
                from_text(value, info) if isinstance(value, str) else value,
                origin,
            )


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
    return Settings.model_fields[CAMERAS] if names == (CAMERAS,) else dict(walk(Settings)).get(names)


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


def _read_text(path: Path) -> str:
    origin = Origin(str(path))
    try:
        if path.is_dir():
            raise SettingsError([Problem(origin, "", "is a directory, expected a TOML file")])
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise SettingsError(
                [
                    Problem(
                        origin,
                        "",
                        f"is larger than {MAX_FILE_BYTES} bytes, expected a TOML file",
                    )
                ]
            )
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError as exc:
        text = "no such file; copy config/ferstream.toml there, or give another with -c FILE"
        raise SettingsError([Problem(origin, "", text)]) from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(
            [
                Problem(
                    origin,
                    "",
                    f"is not UTF-8 text (byte {exc.start}), expected a TOML file",
                )
            ]
        ) from exc
    except (OSError, ValueError) as exc:
        raise SettingsError(
            [
                Problem(
                    origin,
                    "",
                    f"cannot be read: {getattr(exc, 'strerror', None) or exc}",
                )
            ]
        ) from exc


def _syntax_problems(path: Path, exc: Exception, repeated: list[tuple[tuple[str | int, ...], int, int]]) -> list[Problem]:
    twice = [
        Problem(
            Origin(str(path), second),
            dotted(key),
            f"is given twice, first in line {first}",
        )
        for key, first, second in repeated
    ]
    if twice:
        return twice
    message, _, place = str(exc).partition(" (at ")
    numbers = [int(word) for word in re.findall(r"\d+", place)]
    column = f" (column {numbers[1]})" if len(numbers) > 1 else ""
    return [
        Problem(
            Origin(str(path), numbers[0] if numbers else 0),
            "",
            f"is not valid TOML: {message}{column}",
        )
    ]


def _paths(data: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if len(path) >= _DEEPEST:
        return
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) and path == (CAMERAS,) else ()
    for key, value in items:
        yield from _paths(value, (*path, key))


def _refuse_secrets(tree: Tree) -> None:
    for path, info in _values(tree):
        for mark in marks(info):
            if isinstance(mark, NotInFile):
                beside = dotted((*path[:-1], mark.file_key), tree.data)
                text = f"a secret does not belong in this file; put it into a file of its own and name that in {beside}, or set {_variable(path, tree)}"
                tree.problems.append(Problem(tree.origin(path), dotted(path, tree.data), text))


def _anchor_paths(tree: Tree, folder: Path) -> None:
    for path, info in _values(tree):
        value = value_at(tree.data, path)
        for mark in marks(info):
            if isinstance(mark, RelativeToFile) and isinstance(value, str) and mark.is_path(value):
                value_at(tree.data, path[:-1])[path[-1]] = str(folder / Path(value).expanduser())


def _values(tree: Tree) -> list[tuple[tuple[str | int, ...], FieldInfo]]:
    found = ((path, field_at(path)) for path in tree.origins)
    return [(path, info) for path, info in found if info is not None]


def _variable(path: tuple[str | int, ...], tree: Tree) -> str:
    parts = [str(value_at(tree.data, (*path[:2], "name"))) if isinstance(part, int) else part for part in path]
    return ENV_PREFIX + "__".join(parts).upper().replace("-", "_")


def _camera_path(tree: Tree, parts: tuple[str, ...]) -> tuple[str | int, ...] | None:
    """Return the path of a key of a camera that is given by name; ``source`` makes a camera that is not there yet."""
    cameras = tree.data.setdefault(CAMERAS, [])
    if not isinstance(cameras, list):
        return None
    for index, camera in enumerate(cameras):
        if isinstance(camera, dict) and str(camera.get("name")).replace("-", "_").lower() == parts[1].replace("-", "_").lower():
            return (CAMERAS, index, *parts[2:])
    if parts[2:] != ("source",):
        return None
    cameras.append({"name": parts[1]})
    return (CAMERAS, len(cameras) - 1, "source")


def _put(tree: Tree, path: tuple[str | int, ...], value: object, origin: Origin) -> None:
    table: Any = tree.data
    for part in path[:-1]:
        table = table.setdefault(part, {}) if isinstance(part, str) and isinstance(table, dict) else value_at(table, (part,))
    if isinstance(table, dict):
        table[path[-1]] = value
        tree.origins[path] = origin
        tree.problems = [p for p in tree.problems if p.key != dotted(path, tree.data)]


def _unknown_variable(name: str, known: tuple[str, ...], tree: Tree) -> str:
    parts = name.upper().split("__")
    cameras = value_at(tree.data, (CAMERAS,))
    if parts[0] == ENV_PREFIX + "CAMERAS" and len(parts) == 3:
        names = [str(camera.get("name")) for camera in cameras or () if isinstance(camera, dict)]
        if ("cameras", parts[2].lower()) in {path for path, _ in walk(Settings)} and parts[1].lower().replace("-", "_") not in [
            n.replace("-", "_") for n in names
        ]:
            return f"no camera {parts[1].lower()!r}; cameras: {', '.join(names) or 'none'}; its SOURCE would add it"
    near = difflib.get_close_matches(
        name.upper().removeprefix(ENV_PREFIX),
        [n.removeprefix(ENV_PREFIX) for n in known],
        n=1,
        cutoff=0.6,
    )
    return f"unknown variable; did you mean {ENV_PREFIX}{near[0]}?" if near else "unknown variable; ferstream config keys lists all"
