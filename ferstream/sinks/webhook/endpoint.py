"""Where a webhook goes, how it is signed and whom it trusts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from ferstream.errors import ConfigError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Where a webhook goes, how it is signed and whom it trusts.

    Attributes:
        url: ``http://`` or ``https://``. Path and query may be secret; they are never shown.
        signing_keys: One signature is made with each of them; empty = requests are not signed.
        ca_file: Certificates to trust, PEM; None = those of the system.
        timeout_s: Longest time of one request, in seconds.
        max_in_flight: Most requests at a time; those of one camera are always one after the other.
    """

    url: str = field(repr=False)
    signing_keys: tuple[bytes, ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    timeout_s: float = 10.0
    max_in_flight: int = 4

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self._parts.scheme == "https"

    @property
    def host(self) -> str:
        """Host name or address."""
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        """Port of the URL, else that of the scheme."""
        return self._parts.port or _DEFAULT_PORTS[self._parts.scheme]

    @property
    def target(self) -> str:
        """Path and query as they stand in the request."""
        parts = self._parts
        return (quote(parts.path, safe=_SAFE) or "/") + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")

    @property
    def label(self) -> str:
        """``scheme://host:port``: safe to show."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._parts.scheme}://{host}:{self.port}"

    def check(self) -> None:
        """Check the URL.

        Raises:
            ConfigError: It cannot be used.
        """
        try:
            is_valid = self._parts.scheme in _DEFAULT_PORTS and bool(self.host) and self.port > 0
        except ValueError:
            is_valid = False
        if not is_valid:
            raise ConfigError("webhook.url: expected http:// or https:// with a host name")
        if self._parts.username is not None:
            raise ConfigError("webhook.url: a user name or password in the URL is not supported; use a token in the path or query")

    def tls_context(self) -> ssl.SSLContext:
        """Return settings of TLS that verify certificate and host name.

        Raises:
            ConfigError: ``ca_file`` cannot be used.
        """
        try:
            return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except ssl.SSLError as exc:
            raise ConfigError(f"webhook.ca_file {self.ca_file}: it contains no usable PEM certificate") from exc
        except OSError as exc:
            raise ConfigError(f"webhook.ca_file {self.ca_file}: {(exc.strerror or 'cannot be read').lower()}") from exc
