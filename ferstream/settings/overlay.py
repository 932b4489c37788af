"""Lays ``FERSTREAM_SECTION__KEY`` variables and flags over a tree, key by key; cameras are meant by their names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ferstream.settings.keys import CAMERAS, ENV_PREFIX, env_names, field_at, from_text, known_keys
from ferstream.settings.model import DEFAULT_CAMERA
from ferstream.settings.problems import Origin, Problem, unknown_key, value_at
from ferstream.settings.raw_values import Tree

OTHERS = frozenset({"FERSTREAM_HEALTH_URL", "FERSTREAM_HEALTH_TOKEN_FILE", "FERSTREAM_SECRETS"})
"""Variables of the scripts in deploy/, which share the container's environment and are no settings."""


def add_environment(tree: Tree, environ: Mapping[str, str]) -> None:
    """Lay the ``FERSTREAM_`` variables over the tree; an unknown one is a problem."""
    own = [name for name in environ if name.upper().startswith(ENV_PREFIX) and name not in OTHERS]
    # A camera's source first: it may bring the camera into being.
    for name in sorted(own, key=lambda n: (not n.upper().endswith("__SOURCE"), n)):
        parts = tuple(name[len(ENV_PREFIX) :].lower().split("__"))
        if not _lay(tree, parts, environ[name], Origin(f"environment {name}")):
            tree.problems.append(Problem(Origin(f"environment {name}"), "", _unknown_variable(name, tree)))


def add_flags(tree: Tree, flags: Mapping[str, Any]) -> None:
    """Lay flags over the tree: dotted keys, ``None`` for a flag that was not given. Text is taken as from the environment."""
    for key, value in flags.items():
        origin = Origin(f"flag {key}")
        if value is not None and not _lay(tree, tuple(key.split(".")), value, origin):
            tree.problems.append(Problem(origin, key, unknown_key(key, known_keys())))


def _lay(tree: Tree, parts: tuple[str, ...], value: object, origin: Origin) -> bool:
    """Set one value; False when there is no such key or camera."""
    path = _camera_path(tree, parts, origin) if parts[0] == CAMERAS and len(parts) == 3 else parts
    info = field_at(path) if path else None
    if not path or info is None:
        return False
    table: Any = tree.data
    for part in path[:-1]:
        table = table.setdefault(part, {}) if isinstance(part, str) and isinstance(table, dict) else value_at(table, (part,))
    if isinstance(table, dict):
        table[path[-1]] = from_text(value, info) if isinstance(value, str) else value
        tree.origins[path] = origin
    return True


def _camera_path(tree: Tree, parts: tuple[str, ...], origin: Origin) -> tuple[str | int, ...] | None:
    """Return the path of a key of a camera that is given by name; ``source`` makes a camera that is not there yet."""
    _, name, key = parts
    if CAMERAS not in tree.data and name == DEFAULT_CAMERA["name"]:
        tree.data[CAMERAS] = [dict(DEFAULT_CAMERA)]
    for index, known in enumerate(_camera_names(tree)):
        if _alike(known) == _alike(name):
            return (CAMERAS, index, key)
    if key != "source" or not isinstance(tree.data.setdefault(CAMERAS, []), list):
        return None
    tree.data[CAMERAS].append({"name": name})
    index = len(tree.data[CAMERAS]) - 1
    tree.origins[CAMERAS, index, "name"] = origin
    return (CAMERAS, index, key)


def _camera_names(tree: Tree) -> list[str]:
    cameras = tree.data.get(CAMERAS)
    return [str(value_at(camera, ("name",))) for camera in cameras] if isinstance(cameras, list) else []


def _alike(name: str) -> str:
    """Names as variables can tell them apart: no case, no hyphen."""
    return name.lower().replace("-", "_")


def _unknown_variable(name: str, tree: Tree) -> str:
    parts = name.lower().removeprefix(ENV_PREFIX.lower()).split("__")
    if len(parts) == 3 and parts[0] == CAMERAS and f"{CAMERAS}.{parts[2]}" in known_keys():
        return f"there is no camera {parts[1]}, only {', '.join(_camera_names(tree)) or 'none'}; its __SOURCE would add it"
    names = [known.removeprefix(ENV_PREFIX) for known in env_names()]
    near = difflib.get_close_matches("__".join(parts).upper(), names, n=1, cutoff=0.6)
    return f"unknown variable; did you mean {ENV_PREFIX}{near[0]}?" if near else "unknown variable; ferstream config keys lists all"
