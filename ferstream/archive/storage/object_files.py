"""Object stores through fsspec: opened with timeouts and without caches, and their errors in plain words.

fsspec and the package of a scheme are imported when a URL is opened. Any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ferstream.errors import ConfigError, OutputError, first_line
from ferstream.runtime.program import install_command
from ferstream.runtime.redaction import redact

CONNECT_S, READ_S = 10, 60
"""Longest time to connect, and without data, in seconds."""
ATTEMPTS = 6
"""How often a request is sent until a passing fault (no answer, 5xx, too many requests) is an error."""
_S3 = ("s3", "s3a")
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError")


def shown_url(url: str) -> str:
    """Return a URL without user name, password and query. A ``?`` of a pattern stays."""
    parts = urlsplit(url)
    query = "" if _is_query(parts.query) else parts.query
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def _is_query(text: str) -> bool:
    return "=" in text


def open_url(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        ConfigError: The package of its scheme is not installed, the scheme is unknown, or the URL has a secret in it.
    """
    parts = urlsplit(url)
    shown = shown_url(url)
    if "@" in parts.netloc or _is_query(parts.query):
        raise ConfigError(f"{shown}: leave user, password and query out of the URL; credentials come from the environment or a profile")
    if not parts.netloc:
        raise ConfigError(f"{shown}: has no bucket; write {parts.scheme}://BUCKET/FOLDER")
    try:
        import fsspec
    except ImportError:
        raise ConfigError(f"{shown}: needs fsspec, which is not installed: {install_command('fsspec', extra='archive')}") from None
    try:
        system, path = fsspec.core.url_to_fs(url, **_options(parts.scheme))
    except ImportError as exc:
        raise ConfigError(f"{shown}: needs a package that is not installed: {_needed(parts.scheme, exc)}") from None
    except ValueError as exc:
        raise ConfigError(f"{shown}: is no object store that is known ({first_line(exc)})") from None
    return system, path.rstrip("/")


@contextmanager
def translated(url: str, what: str) -> Iterator[None]:
    """Turn what fsspec and its packages raise into an OutputError that says what to do.

    Args:
        url: The object or folder.
        what: ``read`` or ``write``.

    Raises:
        FileNotFoundError: As it came, while reading.
        OutputError: Everything else.
    """
    try:
        yield
    except FileNotFoundError as exc:
        if what == "read":
            raise
        raise OutputError(f"cannot {what} {shown_url(url)}: there is no such bucket; make it, or correct the name") from exc
    except OutputError:
        raise
    except Exception as exc:  # each package has errors of its own; re-raised
        raise OutputError(f"cannot {what} {shown_url(url)}: {_reason(exc)}") from exc


def _options(scheme: str) -> dict[str, Any]:
    """Return options of the file system: no listing is cached, because other processes write at the same time, and no connection."""
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme in _S3:
        retries = {"mode": "standard", "max_attempts": ATTEMPTS}
        options["config_kwargs"] = {"connect_timeout": CONNECT_S, "read_timeout": READ_S, "retries": retries}
    return options


def _needed(scheme: str, error: ImportError) -> str:
    if scheme in _S3:
        return install_command("s3fs", extra="s3")
    return first_line(error)


def _reason(error: BaseException) -> str:
    """Return why a request failed, for people; secrets are taken out."""
    kind = type(error).__name__
    if kind in _NO_CREDENTIALS:
        return "no credentials were found; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them"
    if isinstance(error, PermissionError):
        return f"no permission ({redact(first_line(error))}); check the credentials and the policy of the bucket"
    if isinstance(error, TimeoutError) or "Timeout" in kind or "Connect" in kind or "Connection" in kind:
        return f"no answer ({redact(first_line(error))}); check the network and AWS_ENDPOINT_URL"
    return redact(first_line(error)) or kind
