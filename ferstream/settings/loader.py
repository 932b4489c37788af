"""From file, environment and flags to one frozen ``Settings``, or to every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ferstream.settings.cross_checks import contradictions
from ferstream.settings.keys import CAMERAS, known_keys
from ferstream.settings.model import Settings
from ferstream.settings.moved import move_old_keys
from ferstream.settings.overlay import add_environment, add_flags
from ferstream.settings.problems import Origin, Problem, SettingsError, dotted, explain
from ferstream.settings.raw_values import Tree
from ferstream.settings.secrets import unsafe_listen, with_secrets
from ferstream.settings.toml_file import read_toml

LOCAL_FILE = Path("ferstream.toml")
SYSTEM_FILE = Path("/etc/ferstream/ferstream.toml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and where they came from.

    Attributes:
        settings: The settings.
        file: The file that was read, None if there is none.
        origins: Origin of each value that is no default, by path (cameras by number).
        notes: What the user should change although it works, such as a key at its old place; one line each, for the log.
    """

    settings: Settings
    file: Path | None
    origins: Mapping[tuple[str | int, ...], Origin]
    notes: tuple[str, ...] = ()


def load_settings(
    file: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings in force.

    Args:
        file: A TOML file; None looks for ``./ferstream.toml``, then ``/etc/ferstream/ferstream.toml``, and does without.
        environ: Variables; the process's own if None.
        flags: Values by dotted key, such as ``{"log.level": "debug"}``; None values are left out.

    Raises:
        ConfigError: With every problem found, one a line.
    """
    return load(file, environ=environ, flags=flags).settings


def load(
    file: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    secrets: bool = True,
) -> Loaded:
    """Return the settings in force and where each came from; see ``load_settings``.

    Args:
        file: As there.
        environ: As there.
        flags: As there.
        secrets: False leaves password files unread.

    Raises:
        ConfigError: With every problem found, one a line.
    """
    environ = os.environ if environ is None else environ
    path = Path(file).expanduser() if file is not None else find_file()
    tree = Tree() if path is None else read_toml(path)
    add_environment(tree, environ)
    add_flags(tree, flags or {})
    notes = move_old_keys(tree)
    settings = _validate(tree)
    if secrets:
        settings = with_secrets(settings, environ, tree=tree)
        unsafe = unsafe_listen(settings, tree.origin(("http", "listen")))
        if unsafe is not None:
            raise SettingsError([unsafe])
    return Loaded(settings=settings, file=path, origins=tree.origins, notes=notes)


def find_file() -> Path | None:
    """Return the file that is read when none is given."""
    return next((path for path in (LOCAL_FILE, SYSTEM_FILE) if _may_be_there(path)), None)


def _may_be_there(path: Path) -> bool:
    """False only when it is certain: a file that this user may not see must not be passed over in silence."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _validate(tree: Tree) -> Settings:
    settings: Settings | None = None
    known = known_keys()
    try:
        settings = Settings.model_validate(tree.data)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            text = explain(error, data=tree.data, known=known)
            tree.problems.append(Problem(tree.origin(error["loc"]), dotted(error["loc"], tree.data), text))
    else:
        tree.problems.extend(contradictions(settings, tree))
    tree.problems.extend(_same_names(tree))
    if tree.problems or settings is None:
        raise SettingsError(tree.problems)
    return settings


def _same_names(tree: Tree) -> list[Problem]:
    cameras = tree.data.get(CAMERAS)
    first: dict[str, Origin] = {}
    problems = []
    for index, camera in enumerate(cameras if isinstance(cameras, list) else ()):
        name = camera.get("name") if isinstance(camera, dict) else None
        if not isinstance(name, str):
            continue
        origin = tree.origin((CAMERAS, index, "name"))
        if name in first:
            problems.append(
                Problem(
                    origin,
                    f"{CAMERAS}[{index}].name",
                    f'"{name}" is the name of another camera already ({first[name]})',
                )
            )
        first.setdefault(name, origin)
    return problems
