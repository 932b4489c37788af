"""Reads secrets: from variables, from the files of ``*_file`` keys, from systemd credentials; the first one counts.

Each secret that is read is registered with the redactor, so that no log line can show it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from ferstream.errors import ConfigError
from ferstream.runtime.input_file import open_input
from ferstream.runtime.redaction import register_secret
from ferstream.settings.fields import NotInFile, Section
from ferstream.settings.model import CAMERAS, Settings, secret_keys
from ferstream.settings.problems import DEFAULT, KeyPath, Origin, Problem, SettingsError, dotted
from ferstream.settings.sources import RawValues
from ferstream.telemetry.access import parse_listen, require_token

_Table = TypeVar("_Table", bound=Section)
_LONGEST_SECRET = 65_536


def with_secrets(settings: Settings, environ: Mapping[str, str], *, raw: RawValues | None = None) -> Settings:
    """Return the settings with every password and token that can be found filled in.

    Args:
        settings: Settings as they were read: their secrets came from variables or URLs.
        environ: Variables; ``CREDENTIALS_DIRECTORY`` is the folder of systemd credentials.
        raw: The values the settings were made of; they give errors the origin of a key.

    Raises:
        SettingsError: A file that a key names cannot be read, is empty, or holds a secret that is not valid.
    """
    filler = _SecretFiller(environ, settings, raw or RawValues())
    cameras = tuple(filler.fill(camera, (CAMERAS, i), f"camera_{camera.name}") for i, camera in enumerate(settings.cameras))
    tables = {key: filler.fill(table, (key,), key) for key, table in settings if isinstance(table, Section)}
    if filler.problems:
        raise SettingsError(filler.problems)
    return settings.model_copy(update={CAMERAS: cameras, **tables})


class _SecretFiller:
    """Fills in the secrets of tables and collects the problems with them."""

    def __init__(self, environ: Mapping[str, str], settings: Settings, raw: RawValues) -> None:
        folder = environ.get("CREDENTIALS_DIRECTORY")
        self._folder = Path(folder) if folder else None
        self._names = {CAMERAS: [{"name": camera.name} for camera in settings.cameras]}
        self._raw = raw
        self.problems: list[Problem] = []

    def fill(self, table: _Table, path: KeyPath, credential: str) -> _Table:
        """Return a table with its secrets. ``credential`` is the first part of the name of a systemd credential."""
        for key, mark in secret_keys(type(table)).items():
            given = getattr(table, key)
            try:
                secret = given or read_secret(getattr(table, mark.file_key), self._folder, f"{credential}_{key}")
                _register(secret, mark)
            except ValueError as exc:
                where = (*path, key if given else mark.file_key)
                self.problems.append(Problem(self._raw.origin(where), dotted(where, self._names), str(exc)))
            else:
                table = table.model_copy(update={key: secret} | ({mark.file_key: None} if given else {}))
        return table


def _register(secret: SecretStr | None, mark: NotInFile) -> None:
    if secret is not None:
        text = secret.get_secret_value()
        register_secret(text)
        register_secret(text.removeprefix("whsec_"))
        mark.check(text)


def read_secret(file: Path | None, credentials: Path | None, name: str) -> SecretStr | None:
    """Read a secret without its last line end.

    Args:
        file: The file of the secret; None reads the systemd credential instead.
        credentials: Folder of systemd credentials; None if there are none.
        name: Name of the credential.

    Returns:
        The secret; None if there is neither a file nor a credential.

    Raises:
        ValueError: The file cannot be read, is empty, or is not text. The message never holds its content.
    """
    if file is None and credentials is None:
        return None
    wanted = file or (credentials or Path()) / name
    try:
        if file is None and not wanted.is_file():
            return None
        with open_input(wanted) as stream:
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
    """Yield the dotted key and the path of every file that holds a secret, the key of a client certificate included."""
    tables: list[tuple[str, Section]] = [(f"{CAMERAS}.{camera.name}", camera) for camera in settings.cameras]
    tables += [(key, table) for key, table in settings if isinstance(table, Section)]
    for name, table in tables:
        for key in [*(mark.file_key for mark in secret_keys(type(table)).values()), "key_file"]:
            path = getattr(table, key, None)
            if path is not None:
                yield f"{name}.{key}", path


def readable_by_others(path: Path) -> bool:
    """Whether every user of the machine may read the file."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def missing_secrets(settings: Settings, raw: RawValues) -> Iterator[Problem]:
    """Yield each secret without which the settings cannot be used."""
    unsafe = unsafe_listen(settings, raw.origin(("http", "listen")))
    if unsafe is not None:
        yield unsafe
    kafka = settings.kafka
    if kafka.enabled and kafka.authenticated and kafka.password is None:
        text = f"is missing: security {kafka.security} needs a password; name a file with it, or set FERSTREAM_KAFKA__PASSWORD"
        yield Problem(raw.origin(("kafka", "security")), "kafka.password_file", text)


def unsafe_listen(settings: Settings, origin: Origin = DEFAULT) -> Problem | None:
    """Return the problem if the pages are open to the network without a token, or with one that could be guessed."""
    http = settings.http
    if not http.enabled:
        return None
    token = None if http.token is None else http.token.get_secret_value()
    try:
        require_token(parse_listen(http.listen), token)
    except ConfigError as exc:
        return Problem(origin, "http.listen" if token is None else "http.token_file", str(exc))
    return None
