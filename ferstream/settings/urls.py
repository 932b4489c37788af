"""Addresses in settings: what makes one valid, and taking credentials out of it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

_MAX_PORT = 65_535


def check_url(value: str, *, schemes: tuple[str, ...]) -> None:
    """Check scheme, host and port.

    Raises:
        ValueError: With what was expected.
    """
    scheme = value.partition("://")[0]
    if "://" not in value or scheme.lower() not in schemes:
        raise ValueError(f"expected a URL that begins with {', '.join(f'{s}://' for s in schemes[:-1])} or {schemes[-1]}://")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("expected a URL with a valid host and port") from None
    if not host or re.search(r"\s", value):
        raise ValueError(f"expected a host after {scheme}://, and no blanks")


def refuse_half_url(value: str, *, schemes: tuple[str, ...]) -> None:
    """Refuse an address with too few slashes, which would pass for a file's name and be shown with its password.

    Raises:
        ValueError: With what was expected.
    """
    scheme, colon, rest = value.partition(":")
    if colon and scheme.strip().lower() in schemes and not rest.startswith("//"):
        raise ValueError(f"expected {scheme.strip().lower()}://, with two slashes after the colon")


def lower_scheme(value: str) -> str:
    """Return a URL with its scheme in lower case, and anything else as it is."""
    scheme, separator, rest = value.partition("://")
    return f"{scheme.lower()}://{rest}" if separator else value


def split_listen(value: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``.

    Raises:
        ValueError: It is neither.
    """
    host, _, port = value.rpartition(":")
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (
        not inner
        or (":" in inner and inner == host)
        or not port.isascii()
        or not port.isdecimal()
        or int(port) > _MAX_PORT
        or re.search(r"\s", inner)
    ):
        raise ValueError("expected address:port, such as 127.0.0.1:9108")
    return inner, int(port)


def check_host_ports(value: str) -> None:
    """Check a list of ``host:port`` separated by commas.

    Raises:
        ValueError: With what was expected.
    """
    for part in value.split(","):
        try:
            host, port = split_listen(part.strip())
        except ValueError:
            raise ValueError("expected host:port, or several separated by commas, such as kafka1:9092,kafka2:9092") from None
        if port == 0 or not host:
            raise ValueError("expected a port of 1 to 65535")


def without_credentials(data: Any, key: str) -> Any:
    """Move the user name and password of ``data[key]``, a URL, into keys of their own; those that are given win."""
    url = data.get(key) if isinstance(data, dict) else None
    if not isinstance(url, str) or "://" not in url or "@" not in url:
        return data
    try:
        parts = urlsplit(url)
    except ValueError:
        return data
    userinfo, at, host = parts.netloc.rpartition("@")
    username, colon, password = userinfo.partition(":")
    found = {key: urlunsplit(parts._replace(netloc=host))} if at else {}
    if username and data.get("username") is None:
        found["username"] = unquote(username)
    if colon and data.get("password") is None and data.get("password_file") is None:
        found["password"] = unquote(password)
    return {**data, **found}
