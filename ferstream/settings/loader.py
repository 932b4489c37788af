"""Reads the settings: file, environment and flags become one frozen ``Settings``, or one error with every problem."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ferstream.settings.cross_checks import contradictions, move_old_keys, repeated_names
from ferstream.settings.keys import known_keys
from ferstream.settings.model import Settings
from ferstream.settings.problems import KeyPath, Origin, Problem, SettingsError, dotted, explain
from ferstream.settings.secrets import missing_secrets, with_secrets
from ferstream.settings.sources import RawValues, add_environment, add_flags
from ferstream.settings.toml_file import read_toml

LOCAL_FILE = Path("ferstream.toml")
SYSTEM_FILE = Path("/etc/ferstream/ferstream.toml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and where they came from.

    Attributes:
        settings: The settings.
        file: The file that was read, None if there is none.
        origins: Origin of each value that is not a default, by path (cameras by index).
        notes: What works but should be changed, such as a key at its old place; one line each, for the log.
    """

    settings: Settings
    file: Path | None
    origins: Mapping[KeyPath, Origin]
    notes: tuple[str, ...] = ()


def load_settings(
    file: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings in force.

    Args:
        file: A TOML file. None reads ``./ferstream.toml``, else ``/etc/ferstream/ferstream.toml``, else no file.
        environ: Variables; the process's own if None.
        flags: Values by dotted key, such as ``{"log.level": "debug"}``; None values are left out.

    Raises:
        ConfigError: With every problem found, one per line.
    """
    return load(file, environ=environ, flags=flags).settings


def load(
    file: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    secrets: bool = True,
) -> Loaded:
    """Return the settings in force and where each came from.

    Args:
        file: See ``load_settings``.
        environ: See ``load_settings``.
        flags: See ``load_settings``.
        secrets: False leaves the files and credentials that hold secrets unread.

    Raises:
        ConfigError: With every problem found, one per line.
    """
    environ = os.environ if environ is None else environ
    path = Path(file).expanduser() if file is not None else find_file()
    raw = RawValues() if path is None else read_toml(path)
    add_environment(raw, environ)
    add_flags(raw, flags or {})
    notes = move_old_keys(raw)
    settings = _validate(raw)
    if secrets:
        settings = with_secrets(settings, environ, raw=raw)
        missing = list(missing_secrets(settings, raw))
        if missing:
            raise SettingsError(missing)
    return Loaded(settings=settings, file=path, origins=raw.origins, notes=notes)


def find_file(places: Iterable[Path] = (LOCAL_FILE, SYSTEM_FILE)) -> Path | None:
    """Return the first file that exists of those that are read when none is given; None if none exists."""
    return next((path for path in places if _may_exist(path)), None)


def _may_exist(path: Path) -> bool:
    """Whether the file exists, or may exist: this user may not look. Such a file must be an error, not be skipped."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _validate(raw: RawValues) -> Settings:
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(raw.data)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            text = explain(error, known=known_keys())
            raw.problems.append(Problem(raw.origin(error["loc"]), dotted(error["loc"], raw.data), text))
    else:
        raw.problems.extend(contradictions(settings, raw))
    raw.problems.extend(repeated_names(raw))
    if raw.problems or settings is None:
        raise SettingsError(raw.problems)
    return settings
