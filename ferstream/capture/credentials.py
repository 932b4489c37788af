"""Puts a camera's password into its URL, at the moment of connecting and not before."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ferstream.errors import SourceAuthError
from ferstream.runtime.redaction import redact, register_secret


def with_password(url: str, password_file: Path | None) -> str:
    """The URL with the password from a file in it; only ever handed to libav.

    Raises:
        SourceAuthError: The file cannot be read or is empty, or the URL names no user.
    """
    parts = urlsplit(url)
    if parts.password:
        register_secret(unquote(parts.password))
    if password_file is None:
        return url
    try:
        password = password_file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise SourceAuthError(f"password_file {password_file}: cannot be read ({type(exc).__name__})") from None
    if not password:
        raise SourceAuthError(f"password_file {password_file}: is empty; write the password into it")
    if not parts.username:
        raise SourceAuthError(f"{redact(url)}: names no user; write {parts.scheme}://user@{parts.hostname}/...")
    register_secret(password)
    return _replace_userinfo(parts, parts.username, password)


def _replace_userinfo(parts: SplitResult, username: str, password: str) -> str:
    host = parts.netloc.rpartition("@")[2]
    userinfo = f"{quote(unquote(username), safe='')}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{userinfo}@{host}").geturl()
