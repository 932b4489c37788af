"""The types of settings, with their checks and the texts of their errors.

Numbers, booleans and texts are strict: ``width = "640"`` in a file is an error. Text of a variable is converted to the
type of its key before it reaches these checks (``sources.py``).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from ferstream.runtime.addresses import MAX_PORT, parse_listen, split_host_port

URL_SCHEMES = ("rtsp", "rtsps", "http", "https")
BROKER_SCHEMES = ("mqtt", "mqtts", "ws", "wss")
WEBHOOK_SCHEMES = ("https", "http")
EMBEDDED = "embedded"
_MIN_CORNERS = 3
_COLONS_OF_IPV6 = 2


class Section(BaseModel):
    """Base of every table of the file: frozen, unknown keys are errors, and errors do not show values."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True, slots=True)
class RelativeToFile:
    """Marks a key whose relative path starts at the folder of the settings file.

    Attributes:
        unless: Pattern of values that are not paths, matched at their beginning.
    """

    unless: str = r"(?!)"

    def is_path(self, value: str) -> bool:
        """Whether the value is a path."""
        return value != "" and "\0" not in value and re.match(self.unless, value) is None


@dataclass(frozen=True, slots=True)
class NotInFile:
    """Marks a secret. It comes from a file of its own, a variable or a systemd credential, never from the settings file.

    Attributes:
        file_key: The key of the same table that names a file with the secret.
        check: Raises ValueError for a secret that is not valid; the message does not contain the secret.
    """

    file_key: str
    check: Callable[[str], object] = str


def _text_to_path(value: object) -> object:
    if isinstance(value, str):
        if not value or "\0" in value:
            raise ValueError("expected a path")
        return Path(value)
    if not isinstance(value, Path):
        raise ValueError("expected a path as text")
    return value


def _check_source(value: str) -> str:
    kind, colon, rest = value.partition(":")
    if not value.strip() or "\0" in value:
        raise ValueError("expected rtsp(s)://..., http(s)://..., a file, webcam:N or demo:")
    if kind == "webcam" and colon and not rest.isdecimal():
        raise ValueError("expected webcam:N with the number of the webcam, such as webcam:0")
    refuse_half_url(value, schemes=URL_SCHEMES)
    if "://" in value:
        check_url(value, schemes=URL_SCHEMES)
    return lower_scheme(value)


def _check_broker_url(value: str) -> str:
    if value != EMBEDDED:
        check_url(value, schemes=BROKER_SCHEMES)
    return lower_scheme(value)


def _check_webhook_url(value: str) -> str:
    check_url(value, schemes=WEBHOOK_SCHEMES)
    if "@" in urlsplit(value).netloc:
        raise ValueError("expected a URL without user name and password; requests are signed with webhook.secret_file")
    return lower_scheme(value)


def _check_brokers(value: str) -> str:
    check_host_ports(value)
    return value


def _check_kinds(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or len(set(value)) != len(value):
        raise ValueError("expected at least one of face, track, summary, each once")
    return value


def signing_key(secret: str) -> bytes:
    """Return the HMAC key of a Standard Webhooks secret: decoded base64 after ``whsec_``, else the bytes of the text.

    Raises:
        ValueError: The text after ``whsec_`` is empty or not base64.
    """
    prefix, _, encoded = secret.partition("_")
    if prefix != "whsec":
        return secret.encode("utf-8", "surrogateescape")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("expected base64 after whsec_")
    return key


def _check_listen(value: str) -> str:
    parse_listen(value)
    return value


def _check_host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", name) for name in value):
        raise ValueError('expected host names without scheme and port, such as ["cameras.example.org"]')
    return value


def _check_prefix(value: str) -> str:
    if not value or any(not level for level in value.split("/")) or re.search(r"[+#\s\x00]", value) or value.startswith("$"):
        raise ValueError("expected topic levels joined by single slashes, without + # or blanks, not beginning with $")
    return value


def _check_polygon(value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if len(value) < _MIN_CORNERS:
        raise ValueError("expected a polygon of at least 3 corners [x, y], each 0 to 1")
    return value


def check_url(value: str, *, schemes: tuple[str, ...]) -> None:
    """Check the scheme, host and port of a URL.

    Raises:
        ValueError: The URL is not valid; the message says what was expected.
    """
    scheme = value.partition("://")[0]
    wrong = unencoded(value)
    if wrong:
        listed = " and ".join(f'"{char}" as {quote(char, safe="")}' for char in wrong)
        raise ValueError(f"expected a URL whose user name and password are percent-encoded: encode {listed}, or use password_file")
    if "://" not in value or scheme.lower() not in schemes:
        raise ValueError(f"expected a URL that begins with {', '.join(f'{s}://' for s in schemes[:-1])} or {schemes[-1]}://")
    try:
        parts = urlsplit(value)
        _refuse_bare_ipv6(parts.netloc.rpartition("@")[2])
        host, _ = parts.hostname, parts.port
    except _BareIPv6Error as exc:
        raise ValueError(f"expected the IPv6 address in brackets, such as {scheme}://{exc}") from None
    except ValueError:
        raise ValueError("expected a URL with a valid host and port") from None
    if not host or re.search(r"\s", value):
        raise ValueError(f"expected a host after {scheme}://, and no blanks")


class _BareIPv6Error(Exception):
    """A host is an IPv6 address without brackets; the text is the same with brackets."""


def _refuse_bare_ipv6(host_and_port: str) -> None:
    """Raise ``_BareIPv6Error`` for an IPv6 address without brackets: nothing tells where its port begins."""
    if host_and_port.startswith("[") or host_and_port.count(":") < _COLONS_OF_IPV6:
        return
    host, _, port = host_and_port.rpartition(":")
    for address, end in ((host, f":{port}"), (host_and_port, "")):
        with suppress(ValueError):
            ipaddress.IPv6Address(address.partition("%")[0])
            raise _BareIPv6Error(f"[{address}]{end}")


def unencoded(url: str) -> str:
    """Return the characters for which the user name and password in a URL end too early: some of ``/ ? # [ ]``; empty if all is well.

    A URL whose host could be meant, such as ``http://host/a@b``, is well: an at sign in the path or the query is allowed.
    """
    userinfo, at, _ = url.partition("://")[2].rpartition("@")
    end = next((index for index, char in enumerate(userinfo) if char in "/?#"), len(userinfo))
    host = userinfo[:end].rpartition("@")[2]
    port = "" if host.startswith("[") else host.partition(":")[2]
    is_port = port == "" or (port.isdecimal() and int(port) <= MAX_PORT)
    ends_early = end < len(userinfo) and (userinfo[end] == "#" or not is_port)
    if not at or (end < len(userinfo) and not ends_early):
        return ""
    return "".join(dict.fromkeys(char for char in userinfo if char in "/?#[]"))


def refuse_half_url(value: str, *, schemes: tuple[str, ...]) -> None:
    """Refuse a URL with fewer than two slashes after the colon: it would be taken for a file and shown with its password.

    Raises:
        ValueError: The value is such a URL.
    """
    scheme, colon, rest = value.partition(":")
    if colon and scheme.strip().lower() in schemes and not rest.startswith("//"):
        raise ValueError(f"expected {scheme.strip().lower()}://, with two slashes after the colon")


def lower_scheme(value: str) -> str:
    """Return a URL with its scheme in lower case; other text is not changed."""
    scheme, separator, rest = value.partition("://")
    return f"{scheme.lower()}://{rest}" if separator else value


def check_host_ports(value: str) -> None:
    """Check one or several ``host:port``, separated by commas.

    Raises:
        ValueError: One of them has another form.
    """
    for part in value.split(","):
        try:
            _, port = split_host_port(part.strip())
        except ValueError:
            port = None
        if not port:
            raise ValueError("expected host:port, or several separated by commas, such as kafka1:9092,kafka2:9092")


def without_credentials(data: Any, key: str) -> Any:
    """Return a table with the user name and password of a URL as keys of their own.

    Args:
        data: The table before validation; anything but a dictionary is returned as it is.
        key: The key of the URL. Keys ``username``, ``password`` and ``password_file`` that are set are not changed.
    """
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


Text = Annotated[str, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, gt=0)]
Number = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=86_400, allow_inf_nan=False)]
SecondsOrOff = Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
FilePath = Annotated[Path, BeforeValidator(_text_to_path), RelativeToFile()]
BundleName = Annotated[str, Field(strict=True, min_length=1), RelativeToFile(unless=r"[a-z0-9][a-z0-9_-]*(/[0-9][a-z0-9.+-]*)?$")]
AutoOrPath = Annotated[str, Field(strict=True, min_length=1), RelativeToFile(unless=r"(auto|memory)$")]
DetectorName = Annotated[str, Field(strict=True, min_length=1), RelativeToFile(unless=r"[a-z0-9_-]+$")]
CameraName = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9_-]{1,32}$")]
NodeName = Annotated[str, Field(strict=True, pattern=r"^[^/+#\s\x00]{1,64}$")]
SourceText = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_check_source),
    RelativeToFile(unless=r"(?i)[a-z][a-z0-9+.-]*:"),
]
BrokerUrl = Annotated[str, Field(strict=True), AfterValidator(_check_broker_url)]
WebhookUrl = Annotated[str, Field(strict=True), AfterValidator(_check_webhook_url)]
KafkaBrokers = Annotated[str, Field(strict=True), AfterValidator(_check_brokers)]
EventKinds = Annotated[tuple[Literal["face", "track", "summary"], ...], AfterValidator(_check_kinds)]
Listen = Annotated[str, Field(strict=True), AfterValidator(_check_listen)]
HostNames = Annotated[tuple[str, ...], AfterValidator(_check_host_names)]
Prefix = Annotated[str, Field(strict=True), AfterValidator(_check_prefix)]
Polygon = Annotated[tuple[tuple[Fraction, Fraction], ...], AfterValidator(_check_polygon)]
Masks = tuple[Polygon, ...]
PixelAspect = Annotated[float, Field(strict=True, ge=0.25, le=4, allow_inf_nan=False)] | None
Password = Annotated[SecretStr | None, NotInFile("password_file")]
Token = Annotated[SecretStr | None, NotInFile("token_file")]
SigningSecret = Annotated[SecretStr | None, NotInFile("secret_file", signing_key)]
