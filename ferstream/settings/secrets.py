"""Secrets: from the environment, from ``*_file`` keys, from systemd credentials, in this order.

Each value that is read is registered with the redactor, so that no log line can show it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from ferstream.errors import ConfigError
from ferstream.runtime.redaction import register_secret
from ferstream.settings.fields import NotInFile, Section
from ferstream.settings.keys import CAMERAS, marks
from ferstream.settings.model import Settings
from ferstream.settings.problems import DEFAULT, Origin, Problem, SettingsError, dotted
from ferstream.settings.raw_values import Tree
from ferstream.telemetry.access import parse_listen, require_token

_Section = TypeVar("_Section", bound=Section)
_LONGEST_SECRET = 65_536


def with_secrets(settings: Settings, environ: Mapping[str, str], *, tree: Tree | None = None) -> Settings:
    """Return the settings with every password and token that can be found filled in.

    Args:
        settings: Settings as they were read: their secrets came from variables or URLs.
        environ: Variables; ``CREDENTIALS_DIRECTORY`` names the folder of systemd credentials.
        tree: Names the origin of a key in errors.

    Raises:
        SettingsError: A file that a key names cannot be read, is empty, or holds a secret that is not valid.
    """
    finder = _SecretFinder(environ, settings, tree or Tree())
    cameras = tuple(finder.fill(c, (CAMERAS, i), f"camera_{c.name}") for i, c in enumerate(settings.cameras))
    tables = {key: finder.fill(table, (key,), key) for key, table in settings if isinstance(table, Section)}
    if finder.problems:
        raise SettingsError(finder.problems)
    return settings.model_copy(update={CAMERAS: cameras, **tables})


class _SecretFinder:
    """Fills in the secrets of tables, and collects what is wrong with their files."""

    def __init__(self, environ: Mapping[str, str], settings: Settings, tree: Tree) -> None:
        folder = environ.get("CREDENTIALS_DIRECTORY")
        self._folder = Path(folder) if folder else None
        self._names = {CAMERAS: [{"name": camera.name} for camera in settings.cameras]}
        self._tree = tree
        self.problems: list[Problem] = []

    def fill(self, section: _Section, path: tuple[str | int, ...], credential: str) -> _Section:
        """Return the table with its secrets."""
        marked = ((key, mark) for key, info in type(section).model_fields.items() for mark in marks(info) if isinstance(mark, NotInFile))
        for key, mark in marked:
            given = getattr(section, key)
            try:
                secret = given or read_secret(getattr(section, mark.file_key), self._folder, f"{credential}_{key}")
                _register(secret, mark)
            except ValueError as exc:
                where = (*path, key if given else mark.file_key)
                self.problems.append(Problem(self._tree.origin(where), dotted(where, self._names), str(exc)))
            else:
                section = section.model_copy(update={key: secret} | ({mark.file_key: None} if given else {}))
        return section


def _register(secret: SecretStr | None, mark: NotInFile) -> None:
    if secret is not None:
        text = secret.get_secret_value()
        register_secret(text)
        register_secret(text.removeprefix("whsec_"))
        mark.check(text)


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
    tables: list[tuple[str, Section]] = [(f"{CAMERAS}.{camera.name}", camera) for camera in settings.cameras]
    tables += [(key, table) for key, table in settings if isinstance(table, Section)]
    for name, table in tables:
        keys = [mark.file_key for info in type(table).model_fields.values() for mark in marks(info) if isinstance(mark, NotInFile)]
        for key in [*keys, "key_file"]:
            path = getattr(table, key, None)
            if path is not None:
                yield f"{name}.{key}", path


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
