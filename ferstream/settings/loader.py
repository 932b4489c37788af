"""Reads the settings: file, environment and flags become one frozen ``Settings``, or one error with every problem."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ferstream.settings.model import CAMERAS, MOVED, CameraSettings, Settings, known_keys
from ferstream.settings.problems import KeyPath, Origin, Problem, SettingsError, dotted, explain, value_at
from ferstream.settings.secrets import missing_secrets, with_secrets
from ferstream.settings.sinks import KafkaSettings, MqttSettings, WebhookSettings
from ferstream.settings.sources import RawValues, add_environment, add_flags
from ferstream.settings.toml_file import read_toml
from ferstream.settings.url_passwords import passwords_in_file

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
        passwords: URLs of the file that have a password, with the better place for it.
    """

    settings: Settings
    file: Path | None
    origins: Mapping[KeyPath, Origin]
    notes: tuple[str, ...] = ()
    passwords: tuple[Problem, ...] = ()


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
    notes, passwords = move_old_keys(raw), passwords_in_file(raw)
    settings = _validate(raw)
    if secrets:
        settings = with_secrets(settings, environ, raw=raw)
        missing = list(missing_secrets(settings, raw))
        if missing:
            raise SettingsError(missing)
    return Loaded(settings=settings, file=path, origins=raw.origins, notes=notes, passwords=passwords)


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


# -- what one key alone cannot show ----------------------------------------------------------

_ENCRYPTED = ("mqtts://", "wss://")


def contradictions(settings: Settings, raw: RawValues) -> Iterator[Problem]:
    """Yield keys that would have no effect because of another key, such as a ``ca_file`` for a broker without TLS."""
    found = [
        ("mqtt", _mqtt(settings.mqtt)),
        ("webhook", _webhook(settings.webhook)),
        ("kafka", _kafka(settings.kafka)),
        ("http", _http(settings)),
    ]
    for table, problems in found:
        for key, text in problems:
            yield Problem(raw.origin((table, key)), f"{table}.{key}", text)
    for index, camera in enumerate(settings.cameras):
        for key, text in _camera(camera):
            yield Problem(raw.origin((CAMERAS, index, key)), f"{CAMERAS}.{camera.name}.{key}", text)


def _http(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.http.pixels and settings.privacy.aggregate_only:
        yield "pixels", "would show single faces, which privacy.aggregate_only forbids; set one of the two to false"


def _camera(camera: CameraSettings) -> Iterator[tuple[str, str]]:
    if not camera.encrypted:
        for key, default in (("ca_file", None), ("tls_verify", True)):
            if getattr(camera, key) != default:
                yield key, "has no effect: the source is not encrypted; use rtsps:// or https://, or remove the key"
    elif camera.ca_file is not None and not camera.tls_verify:
        yield "ca_file", "has no effect with tls_verify = false; remove one of the two"


def _mqtt(mqtt: MqttSettings) -> Iterator[tuple[str, str]]:
    scheme = mqtt.url.partition("://")[0]
    if not mqtt.url.startswith(_ENCRYPTED):
        for key in ("ca_file", "cert_file", "key_file", "insecure"):
            if getattr(mqtt, key):
                yield key, f"has no effect: {scheme} is not encrypted; write mqtts:// in mqtt.url, or remove the key"
    if mqtt.key_file is not None and mqtt.cert_file is None:
        yield "key_file", "is the key of a client certificate, but mqtt.cert_file is missing"
    if mqtt.embedded and mqtt.username is not None:
        yield "username", "has no effect: the embedded broker makes its own user and password; set mqtt.url"


def _webhook(webhook: WebhookSettings) -> Iterator[tuple[str, str]]:
    if webhook.ca_file is not None and (webhook.url or "").startswith("http://"):
        yield "ca_file", "has no effect: http is not encrypted; write https:// in webhook.url, or remove the key"


def _kafka(kafka: KafkaSettings) -> Iterator[tuple[str, str]]:
    if kafka.ca_file is not None and not kafka.encrypted:
        yield "ca_file", f"has no effect with security {kafka.security}; write ssl or sasl_ssl, or remove the key"
    if kafka.username is not None and not kafka.authenticated:
        yield "username", f"has no effect with security {kafka.security}; write sasl_ssl or sasl_plaintext, or remove the key"
    if kafka.enabled and kafka.authenticated and kafka.username is None:
        yield "username", f"is missing: security {kafka.security} needs a user name and a password"


def repeated_names(raw: RawValues) -> Iterator[Problem]:
    """Yield each camera whose name is that of a camera before it."""
    cameras = raw.data.get(CAMERAS)
    first: dict[str, Origin] = {}
    for index, camera in enumerate(cameras if isinstance(cameras, list) else ()):
        name, origin = value_at(camera, ("name",)), raw.origin((CAMERAS, index, "name"))
        if isinstance(name, str) and name in first:
            yield Problem(origin, f"{CAMERAS}[{index}].name", f'"{name}" is the name of another camera already ({first[name]})')
        elif isinstance(name, str):
            first[name] = origin


def move_old_keys(raw: RawValues) -> tuple[str, ...]:
    """Move each value at the old place of a key to its new place. Different values at both places are a problem.

    Returns:
        One line for each key that was moved, for the log.
    """
    return tuple(_move(raw, old, new) for old, new in MOVED.items() if value_at(raw.data, old) is not None)


def _move(raw: RawValues, old: tuple[str, ...], new: tuple[str, ...]) -> str:
    value, origin = raw.data[old[0]].pop(old[1]), raw.origin(old)
    present = value_at(raw.data, new)
    if present is None:
        raw.put(new, value, origin)
    elif present != value:
        text = f"is now {dotted(new)}, which has another value ({raw.origin(new)}); remove {dotted(old)}"
        raw.problems.append(Problem(origin, dotted(old), text))
    return f"{dotted(old)} is now {dotted(new)} ({origin})"


# -- what a running daemon has to change -----------------------------------------------------

LIVE_KEYS = frozenset({"log.level", "cameras"})
"""Keys that a running daemon applies; every other key needs a restart."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between two configurations.

    Attributes:
        added: Cameras to start.
        removed: Names of cameras to stop.
        changed: Cameras to stop and start again, with their new settings.
        live: Dotted keys other than cameras that a running daemon can apply.
        restart: Dotted keys that take effect after a restart only.
    """

    added: tuple[CameraSettings, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[CameraSettings, ...] = ()
    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.live or self.restart)


def diff(old: Settings, new: Settings) -> Changes:
    """Return what turns ``old`` into ``new``; the order of cameras makes no difference."""
    before = {camera.name: camera for camera in old.cameras}
    after = {camera.name: camera for camera in new.cameras}
    keys = [key for key, value in flat(new).items() if flat(old)[key] != value]
    return Changes(
        added=tuple(camera for name, camera in after.items() if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(camera for name, camera in after.items() if name in before and before[name] != camera),
        live=tuple(key for key in keys if key in LIVE_KEYS),
        restart=tuple(key for key in keys if key not in LIVE_KEYS),
    )


def flat(settings: Settings) -> dict[str, Any]:
    """Return every value by dotted key, without the cameras."""
    found: dict[str, Any] = {"node": settings.node}
    for table in type(settings).model_fields:
        section = getattr(settings, table)
        if table not in {"node", "cameras"}:
            found |= {f"{table}.{key}": getattr(section, key) for key in type(section).model_fields}
    return found
