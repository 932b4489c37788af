"""Input of ``ferstream gaps``: events from a file of JSON lines or from an MQTT broker, counted by a ``GapFinder``.

Runs in the main thread of the command.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ferstream.broker.login import USERNAME
from ferstream.broker.password_file import password_path
from ferstream.errors import ConfigError, DataError
from ferstream.events.gaps import GapFinder
from ferstream.runtime.input_file import open_input, refuse_pipe
from ferstream.settings import OutboxSettings
from ferstream.sinks.mqtt.address import DEFAULT_PORTS, BrokerAddress
from ferstream.sinks.mqtt.subscriber import listen

_LOCAL_HOSTS = ("127.0.0.1", "localhost")
COUNTED_TOPICS = ("face", "track")
"""Last level of the topics whose events are numbered without gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """Where the broker is and how to log in, as given on the command line.

    Attributes:
        url: ``mqtt://``, ``mqtts://``, ``ws://`` or ``wss://`` with host and port; a user name in it is used, a password is refused.
        username: User name at the broker; None takes the one of the URL, else that of this user's embedded broker.
        password_file: File that holds the password; None takes that of this user's embedded broker, if no user name is given.
        ca_file: Certificates to trust, PEM; None trusts those of the system.
        cert_file: Client certificate, PEM.
        key_file: Key of the client certificate, PEM.
        protocol: MQTT version, ``5`` or ``3.1.1``.
    """

    url: str
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    protocol: str = "5"


def read_file(path: Path, finder: GapFinder) -> None:
    """Count the events of a file with one JSON object a line; ``-`` is stdin.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with sys.stdin.buffer if str(path) == "-" else open_input(path) as lines:
            for line in lines:
                if line.strip():
                    finder.add(_decoded(line))
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror}") from exc


def broker_address(options: BrokerOptions) -> BrokerAddress:
    """Check the options and return the address, with a client id that no other client has.

    Raises:
        ConfigError: An option is wrong, or the password file cannot be read.
    """
    parts = _url_parts(options.url)
    if parts.password is not None:
        raise ConfigError("--url: put the password into a file (--password-file); a command line is visible to other users")
    if options.protocol not in ("5", "3.1.1"):
        raise ConfigError(f"--protocol {options.protocol}: expected 5 or 3.1.1")
    if options.key_file is not None and options.cert_file is None:
        raise ConfigError("--key-file needs the certificate of the key as well (--cert-file)")
    username, password_file = options.username or parts.username, options.password_file
    if username is None and password_file is None:
        username, password_file = _embedded_login(parts)
    return BrokerAddress(
        url=options.url,
        client_id=f"ferstream-gaps-{secrets.token_hex(4)}",
        username=username,
        password=_password(password_file),
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
        protocol=5 if options.protocol == "5" else 4,
    )


def subscribe(
    address: BrokerAddress, prefix: str, finder: GapFinder, *, seconds: float | None, on_notice: Callable[[str], None] = lambda text: None
) -> None:
    """Count the face and track events of a broker until ``seconds`` are over or Ctrl-C is pressed.

    Args:
        address: The broker.
        prefix: First levels of the topics.
        finder: Counts the events.
        seconds: How long to listen; None listens until Ctrl-C.
        on_notice: Receives one line of text whenever the state of the connection changes.

    Raises:
        BrokerError: The first connection fails, or the broker refuses the user.
    """
    topic, last = f"{prefix}/#", ""

    def notice(text: str) -> None:
        nonlocal last
        if text != last:
            on_notice(text)
        last = text

    try:
        listen(
            address,
            (topic,),
            on_message=lambda message: _count(finder, message.topic, message.payload),
            stop=threading.Event(),
            seconds=seconds,
            on_ready=lambda: notice(f"listening to {topic} at {address.label}" + ("" if seconds else "; Ctrl-C ends")),
            on_lost=lambda exc: notice(f"{exc}; connecting again"),
        )
    except KeyboardInterrupt:
        notice("")


def _url_parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number, or brackets that do not match
        usable = False
    if not usable:
        raise ConfigError("--url: expected mqtt://, mqtts://, ws:// or wss:// with a host, and a port from 1 to 65535 if any")
    return parts


def _embedded_login(parts: SplitResult) -> tuple[str | None, Path | None]:
    """Return the login of the embedded broker that this user runs at that address; nothing if there is none."""
    folder = OutboxSettings().directory
    if parts.scheme != "mqtt" or parts.hostname not in _LOCAL_HOSTS or folder is None:
        return None, None
    path = password_path(folder, parts.port or DEFAULT_PORTS["mqtt"])
    return (USERNAME, path) if path.is_file() else (None, None)


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        refuse_pipe(path)
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as exc:
        raise ConfigError(f"--password-file {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"--password-file {path}: not UTF-8") from exc


def _count(finder: GapFinder, topic: str, payload: bytes) -> None:
    if topic.rsplit("/", 1)[-1] in COUNTED_TOPICS:
        finder.add(_decoded(payload))


def _decoded(text: bytes) -> object:
    """Return the decoded JSON; None, which the finder counts as not an event, where it is not JSON."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value
