"""Address of a broker, credentials and TLS settings."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from ferstream.errors import ConfigError
from ferstream.runtime.addresses import ListenAddress

DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
TLS_SCHEMES: Final = ("mqtts", "wss")
WEBSOCKET_SCHEMES: Final = ("ws", "wss")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Address of a broker and everything that is needed to connect.

    Attributes:
        url: ``mqtt://``, ``mqtts://``, ``ws://`` or ``wss://`` with host, port and (WebSocket) path and query;
            no user name and password.
        client_id: Unique at the broker.
        username: None connects without one.
        password: Never part of ``repr`` or of a message.
        ca_file: Certificates to trust, PEM; None = the system's.
        cert_file: Client certificate, PEM.
        key_file: Its key, PEM.
        insecure: Do not verify the broker's certificate.
        protocol: 5, or 4 for MQTT 3.1.1.
        keepalive_s: Keep-alive interval in seconds; a broker that is silent for two of them is left.
        session_expiry_s: Seconds that the broker keeps the session; longer than the delay of the Last Will (MQTT 5).
        resume: Continue the session that the broker kept (subscribers); a publisher starts a new one.
    """

    url: str
    client_id: str
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False
    protocol: Literal[4, 5] = 5
    keepalive_s: int = 30
    session_expiry_s: int = 60
    resume: bool = False

    def __repr__(self) -> str:
        """Host and client id only."""
        return f"BrokerAddress({self.label}, client_id={self.client_id!r})"

    @property
    def scheme(self) -> str:
        """First part of the URL."""
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        """Host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port of the URL, else the scheme's."""
        return urlsplit(self.url).port or DEFAULT_PORTS[self.scheme]

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.scheme in TLS_SCHEMES

    @property
    def websocket(self) -> bool:
        """Whether MQTT runs inside a WebSocket."""
        return self.scheme in WEBSOCKET_SCHEMES

    @property
    def websocket_path(self) -> str:
        """Path and query of the WebSocket; may hold a secret, such as ``?token=``."""
        parts = urlsplit(self.url)
        return (parts.path or "/mqtt") + (f"?{parts.query}" if parts.query else "")

    @property
    def host_and_port(self) -> str:
        """``host:port``, an IPv6 address in brackets."""
        return str(ListenAddress(self.host, self.port))

    @property
    def label(self) -> str:
        """``scheme://host:port``: safe to show."""
        return f"{self.scheme}://{self.host_and_port}"


def tls_context(address: BrokerAddress) -> ssl.SSLContext:
    """Return the TLS context; the broker's certificate is verified unless ``insecure``.

    Raises:
        ConfigError: A file cannot be read or holds no usable certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=address.ca_file and str(address.ca_file))
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"mqtt.ca_file {address.ca_file}: {_file_problem(exc)}") from exc
    if address.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if address.cert_file is not None:
        try:
            context.load_cert_chain(str(address.cert_file), address.key_file and str(address.key_file))
        except (OSError, ssl.SSLError) as exc:
            files = f"{address.cert_file} and {address.key_file}" if address.key_file else str(address.cert_file)
            raise ConfigError(f"mqtt.cert_file, mqtt.key_file: {files}: {_file_problem(exc)}") from exc
    return context


def _file_problem(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLError):
        return "no usable PEM certificate or key, or the two do not belong together"
    return (exc.strerror or "cannot be read").lower()
