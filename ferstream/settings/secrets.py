"""Secrets: from the environment, from ``*_file`` keys, from systemd credentials, in this order.

Each value that is read is registered with the redactor, so that no log line can show it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import SecretStr

from ferstream.errors import ConfigError
from ferstream.runtime.redaction import register_secret
from ferstream.settings.model import Settings
from ferstream.settings.problems import DEFAULT, Origin, Problem, SettingsError
from ferstream.settings.raw_values import Tree
from ferstream.telemetry.access import parse_listen, require_token

_LONGEST_SECRET = 65_536


def with_secrets(settings: Settings, environ: Mapping[str, str], *, tree: Tree | None = None) -> Settings:
    """Return the settings with every password and token that can be found filled in.

    Raises:
        SettingsError: A file that a key names cannot be read or is empty.
    """
    problems: list[Problem] = []
    folder = Path(environ["CREDENTIALS_DIRECTORY"]) if environ.get("CREDENTIALS_DIRECTORY") else None

    def find(
        key: str,
        path: tuple[str | int, ...],
        value: SecretStr | None,
        file: Path | None,
        credential: str,
    ) -> SecretStr | None:
        try:
            secret = value or read_secret(file, folder, credential)
        except ValueError as exc:
            problems.append(Problem(tree.origin(path) if tree else DEFAULT, key, str(exc)))
            return None
        if secret is not None:
            register_secret(secret.get_secret_value())
        return secret

    cameras = tuple(
        c.model_copy(
            update={
                "password": find(
                    f"cameras.{c.name}.password_file",
                    ("cameras", i, "password_file"),
                    c.password,
                    c.password_file,
                    f"camera_{c.name}_password",
                ),
                "password_file": None if c.password else c.password_file,
            }
        )
        for i, c in enumerate(settings.cameras)
    )
    mqtt, http = settings.mqtt, settings.http
    password = find(
        "mqtt.password_file",
        ("mqtt", "password_file"),
        mqtt.password,
        mqtt.password_file,
        "mqtt_password",
    )
    token = find(
        "http.token_file",
        ("http", "token_file"),
        http.token,
        http.token_file,
        "http_token",
    )
    if problems:
        raise SettingsError(problems)
    changed = {
        "cameras": cameras,
        "mqtt": mqtt.model_copy(update={"password": password}),
        "http": http.model_copy(update={"token": token}),
    }
    return settings.model_copy(update=changed)


def read_secret(file: Path | None, credentials: Path | None, name: str) -> SecretStr | None:
    """Read a secret from its file, or else from the systemd credential of that name; the last line end is no part of it.

    Raises:
        ValueError: The file cannot be read, is empty, or is no text; the message never holds its content.
    """
    if file is None and credentials is None:
        return None
    wanted = file or (credentials or Path()) / name
    try:
        if file is None and not wanted.is_file():
            return None
        with wanted.open("rb") as stream:
            raw = stream.read(_LONGEST_SECRET + 1)
        text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{wanted} is not UTF-8 text") from None
    except OSError as exc:
        raise ValueError(f"{wanted} cannot be read: {exc.strerror or exc}") from exc
    if not text or len(raw) > _LONGEST_SECRET:
        raise ValueError(f"{wanted} is {'too large for a secret' if text else 'empty'}")
    return SecretStr(text)


def secret_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Yield the key and path of every file that holds a secret."""
    for camera in settings.cameras:
        if camera.password_file:
            yield f"cameras.{camera.name}.password_file", camera.password_file
    for key, path in (
        ("mqtt.password_file", settings.mqtt.password_file),
        ("mqtt.key_file", settings.mqtt.key_file),
        ("http.token_file", settings.http.token_file),
    ):
        if path:
            yield key, path


def readable_by_others(path: Path) -> bool:
    """Whether every user of the machine may read the file."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def unsafe_listen(settings: Settings, origin: Origin = DEFAULT) -> Problem | None:
    """Return what is wrong when the pages are open to the network without a token, or with one that could be guessed."""
    http = settings.http
    if not http.enabled:
        return None
    token = None if http.token is None else http.token.get_secret_value()
    try:
        require_token(parse_listen(http.listen), token)
    except ConfigError as exc:
        return Problem(origin, "http.listen" if token is None else "http.token_file", str(exc))
    return None
