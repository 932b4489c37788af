"""User name and password of a camera. They are put into its URL here only, at the moment of connecting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ferstream.errors import SourceAuthError
from ferstream.runtime.redaction import redact_source, register_secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password of a camera, not URL-quoted; ``repr`` shows neither.

    Attributes:
        username: User name.
        password: Password; None for a user name alone.
    """

    username: str
    password: str | None = None

    def __repr__(self) -> str:
        """Mask both values."""
        return "Credentials(***)"


def read_credentials(url: str, credentials: Credentials | None = None, password_file: Path | None = None) -> Credentials | None:
    """Return the user name and password to connect with, and register the password with the redactor.

    Args:
        url: ``scheme://host/...``; a user name and password in it are used when ``credentials`` is None.
        credentials: User name and password; they replace those in the URL.
        password_file: File that holds the password; it is read at each call and wins over any other password.

    Raises:
        SourceAuthError: The file cannot be read or is empty, or there is no user name to go with it.
    """
    parts = urlsplit(url)
    used = credentials or _credentials_of(parts)
    if password_file is not None:
        password = _read_password(password_file)
        if used is None or not used.username:
            raise SourceAuthError(f"{redact_source(url)}: names no user; set username beside password_file")
        used = replace(used, password=password)
    if used is not None and used.password:
        register_secret(used.password)
    return used


def with_userinfo(url: str, credentials: Credentials | None) -> str:
    """Return a URL with these credentials, or with none; only libav may receive the result."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if credentials is None:
        return parts._replace(netloc=host).geturl()
    userinfo = quote(credentials.username, safe="")
    if credentials.password is not None:
        userinfo += ":" + quote(credentials.password, safe="")
    return parts._replace(netloc=f"{userinfo}@{host}").geturl()


def _credentials_of(parts: SplitResult) -> Credentials | None:
    if parts.username is None:
        return None
    return Credentials(unquote(parts.username), None if parts.password is None else unquote(parts.password))


def _read_password(path: Path) -> str:
    try:
        password = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise SourceAuthError(f"password_file {path}: cannot be read ({type(exc).__name__})") from None
    if not password:
        raise SourceAuthError(f"password_file {path}: is empty; write the password into it")
    return password
