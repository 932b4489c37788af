"""Raw values of the settings, and two of their sources: environment variables and flags.

pydantic-settings reads the variables: it splits the names, decodes JSON and converts text to the type of each key. It needs
a model for that; ``_VariableSettings`` is the model of the variables, in which cameras are a table by name and old keys exist.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from ferstream.runtime.program import command
from ferstream.settings import fields as f
from ferstream.settings.model import CAMERAS, DEFAULT_CAMERA, ENV_PREFIX, MOVED, CameraSettings, Settings, env_names, known_keys
from ferstream.settings.problems import DEFAULT, KeyPath, Origin, Problem, unknown_key, value_at
from ferstream.settings.sinks import MqttSettings

OTHER_VARIABLES = frozenset({"FERSTREAM_HEALTH_URL", "FERSTREAM_HEALTH_TOKEN_FILE", "FERSTREAM_SECRETS"})
"""Variables of the scripts in deploy/, which share the container's environment and are not settings."""
_DELIMITER = "__"


@dataclass(slots=True)
class RawValues:
    """Values on their way to the model, before they are validated.

    Attributes:
        data: Nested tables, as TOML has them; cameras are a list.
        origins: Where each value came from, by path.
        problems: What is wrong so far.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: KeyPath) -> Origin:
        """Return the origin of a value, or else of the nearest table around it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, DEFAULT)

    def put(self, path: KeyPath, value: object, origin: Origin) -> None:
        """Set one value. Nothing is set if a source has another value where the table should be; the model reports that."""
        table: Any = self.data
        for part in path[:-1]:
            table = table.setdefault(part, {}) if isinstance(table, dict) else value_at(table, (part,))
        if isinstance(table, dict):
            table[path[-1]] = value
            self.origins[path] = origin

    def camera_names(self) -> list[str]:
        """Return the names of the cameras; the default camera's while there is no list of cameras."""
        cameras = self.data.get(CAMERAS, [DEFAULT_CAMERA])
        return [camera_name(camera) for camera in cameras] if isinstance(cameras, list) else []

    def variable(self, path: KeyPath) -> str:
        """Return the name of the environment variable of a setting."""
        parts = [camera_name(value_at(self.data, path[:2])) if isinstance(part, int) else part for part in path]
        return ENV_PREFIX + "__".join(parts).upper().replace("-", "_")

    def add_camera(self, name: str, origin: Origin) -> None:
        """Make sure that there is a camera of that name: one of the list, the default camera, or a new one."""
        if variable_form(name) in map(variable_form, self.camera_names()):
            self.data.setdefault(CAMERAS, [dict(DEFAULT_CAMERA)])
        elif isinstance(self.data.setdefault(CAMERAS, []), list):
            self.data[CAMERAS].append({})
            self.put((CAMERAS, len(self.data[CAMERAS]) - 1, "name"), name, origin)


def camera_name(camera: object) -> str:
    """Return the name of a camera as it was given; empty if that is no text, which the model reports."""
    name = value_at(camera, ("name",))
    return name if isinstance(name, str) else ""


def variable_form(name: str) -> str:
    """Return a camera's name as variables have it, in which case and hyphens make no difference."""
    return name.lower().replace("-", "_")


class _OldMqttSettings(MqttSettings):
    model_config = ConfigDict(defer_build=True)

    max_hz_per_face: f.Number
    summary_interval_s: f.Seconds


class _VariableSettings(Settings, BaseSettings):
    """The keys that variables can set, for ``_VariableSource``. No instance is made (ADR 30)."""

    # With strict=True the library converts text to the type of each key; ``Settings``, which is strict, would refuse text.
    model_config = SettingsConfigDict(strict=True, defer_build=True, env_prefix=ENV_PREFIX, env_nested_delimiter=_DELIMITER)

    cameras: dict[str, CameraSettings]  # type: ignore[assignment]
    mqtt: _OldMqttSettings


class _VariableSource(EnvSettingsSource):
    """Reads values by variable name into nested tables, cameras by name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(_VariableSettings)
        self.env_vars = values

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Decode JSON. Text that is not JSON is returned as it is: the model reports it together with the other problems."""
        try:
            return super().decode_complex_value(field_name, field, value) if isinstance(value, str) else value
        except ValueError:
            return value


def add_environment(raw: RawValues, environ: Mapping[str, str]) -> None:
    """Set the values of the ``FERSTREAM_`` variables. Each unknown variable is a problem."""
    names = {name.lower(): name for name in environ if name.upper().startswith(ENV_PREFIX) and name not in OTHER_VARIABLES}
    values = {lower: environ[name] for lower, name in names.items()}
    _add(
        raw,
        values,
        origin=lambda name: Origin(f"environment {names[name]}"),
        unknown=lambda name: Problem(Origin(f"environment {names[name]}"), "", _unknown_variable(names[name], raw)),
    )


def add_flags(raw: RawValues, flags: Mapping[str, Any]) -> None:
    """Set the values of flags, by dotted key. ``None`` is a flag that was not given. Text is converted like that of variables."""
    names = {ENV_PREFIX.lower() + key.lower().replace(".", _DELIMITER): key for key in flags}
    values = {name: flags[key] for name, key in names.items() if flags[key] is not None}
    _add(
        raw,
        values,
        origin=lambda name: Origin(f"flag {names[name]}"),
        unknown=lambda name: Problem(Origin(f"flag {names[name]}"), names[name], unknown_key(names[name], known_keys())),
    )


def _add(raw: RawValues, values: Mapping[str, Any], *, origin: Callable[[str], Origin], unknown: Callable[[str], Problem]) -> None:
    """Set values, a list of all cameras before the keys of single cameras.

    Args:
        raw: The values to change.
        values: Values by the name of their variable in lower case.
        origin: Returns the origin of a value by that name.
        unknown: Returns the problem for a name that does not exist.
    """
    whole = ENV_PREFIX.lower() + CAMERAS
    for group in ([name for name in values if name == whole], [name for name in values if name != whole]):
        known = {name: values[name] for name in group if _is_known(_parts(name), [*raw.camera_names(), *_new_cameras(group)])}
        raw.problems += [unknown(name) for name in group if name not in known]
        readable = {name: value for name, value in known.items() if not _is_too_large(value)}
        raw.problems += [Problem(origin(name), "", "is too large or too deeply nested") for name in known if name not in readable]
        if readable:
            tables = _VariableSource(readable)()
            for name in sorted(readable):
                _put(raw, _parts(name), value_at(tables, _parts(name)), origin(name))


def _put(raw: RawValues, parts: tuple[str, ...], value: object, origin: Origin) -> None:
    if len(parts) < 3:
        raw.put(parts, value, origin)
        return
    raw.add_camera(parts[1], origin)
    names = [variable_form(name) for name in raw.camera_names()]
    if variable_form(parts[1]) in names:
        raw.put((CAMERAS, names.index(variable_form(parts[1])), parts[2]), value, origin)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(ENV_PREFIX.lower()).split(_DELIMITER))


def _new_cameras(names: list[str]) -> list[str]:
    """Return the cameras that a ``__SOURCE`` variable adds."""
    return [parts[1] for parts in map(_parts, names) if len(parts) == 3 and parts[0] == CAMERAS and parts[2] == "source"]


def _is_known(parts: tuple[str, ...], cameras: list[str]) -> bool:
    if parts[0] == CAMERAS and len(parts) == 3:
        return f"{CAMERAS}.{parts[2]}" in known_keys() and variable_form(parts[1]) in map(variable_form, cameras)
    return parts in {(CAMERAS,), *MOVED} or (parts[0] != CAMERAS and ".".join(parts) in known_keys())


def _is_too_large(value: object) -> bool:
    """Return whether text is JSON above a limit of Python: a number of thousands of digits, or a thousand nested lists."""
    try:
        json.loads(value) if isinstance(value, str) else None
    except json.JSONDecodeError:
        return False
    except (ValueError, RecursionError):
        return True
    return False


def _unknown_variable(name: str, raw: RawValues) -> str:
    parts = _parts(name.lower())
    if len(parts) == 3 and parts[0] == CAMERAS and f"{CAMERAS}.{parts[2]}" in known_keys():
        cameras = ", ".join(raw.camera_names()) or "none"
        return f"no camera is named {parts[1]} (cameras: {cameras}); {ENV_PREFIX}CAMERAS__{parts[1].upper()}__SOURCE would add it"
    names = [known.removeprefix(ENV_PREFIX) for known in env_names()]
    near = difflib.get_close_matches(_DELIMITER.join(parts).upper(), names, n=1, cutoff=0.6)
    return f"unknown variable; did you mean {ENV_PREFIX}{near[0]}?" if near else f"unknown variable; {command('config', 'keys')} lists all"
