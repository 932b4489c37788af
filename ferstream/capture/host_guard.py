"""Which hosts a camera may lead to: its own, and those of redirects and playlists that are not further inside the network.

The password is given to the configured host only, and never over a connection without TLS if the configured address has TLS.
One thread uses a guard at a time.
"""

from __future__ import annotations

import socket
import ssl
import string
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ferstream.capture.credentials import Credentials
from ferstream.capture.options import Connecting
from ferstream.capture.source_errors import connection_refused, timeout_error, unknown_host
from ferstream.capture.tls import client_context, tls_failure
from ferstream.errors import SourceError, SourceRedirectError
from ferstream.runtime.addresses import AddressScope, address_scope

MAX_REDIRECTS = 5
"""So many redirects in a row are an error."""
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_FAMILIES = (("http", "https"), ("rtsp", "rtsps"))


@dataclass(frozen=True, slots=True)
class Address:
    """A URL without user name and password.

    Attributes:
        scheme: ``http``, ``https``, ``rtsp`` or ``rtsps``.
        host: Host name or IP address, IPv6 without brackets.
        port: TCP port.
        target: Path and query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def encrypted(self) -> bool:
        """Whether the connection has TLS."""
        return self.scheme in ("https", "rtsps")

    @property
    def origin(self) -> str:
        """``scheme://host:port``; safe to show."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """``host:port``; the port is left out where it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL."""
        return self.origin + self.target


def parse_address(url: str) -> Address:
    """Read a URL; a user name and password in it are left out.

    Raises:
        ValueError: The URL is not valid, or its scheme is not one of a camera.
    """
    if not url.isprintable() or " " in url:
        raise ValueError("a URL has no blanks and control characters")
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname:
        raise ValueError("not the URL of a camera")
    return Address(scheme, parts.hostname, parts.port or _PORTS[scheme], _target(parts, scheme))


def _target(parts: SplitResult, scheme: str) -> str:
    path = parts.path or ("/" if scheme.startswith("http") else "")
    return quote(f"{path}?{parts.query}" if parts.query else path, safe=string.punctuation)


class Network:
    """Name look-up and TCP connections of this machine; tests pass their own."""

    def resolve(self, host: str, port: int) -> list[str]:
        """Return the IP addresses of a host; raises OSError."""
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    def connect(self, host: str, port: int, timeout_s: float) -> tuple[socket.socket, str]:
        """Connect to a host name or IP address; return the socket and the IP address of the other side. Raises OSError."""
        connection = socket.create_connection((host, port), timeout_s)
        return connection, str(connection.getpeername()[0])


class HostGuard:
    """Opens the connections of one camera, and says where its redirects may lead."""

    def __init__(
        self, url: str, *, name: str, connecting: Connecting, credentials: Credentials | None, network: Network | None = None
    ) -> None:
        """Set up; nothing is connected yet.

        Args:
            url: The configured URL.
            name: Name of the source for messages.
            connecting: Rules for TLS and redirects.
            credentials: User name and password for the configured host.
            network: Looks up names and connects.

        Raises:
            ValueError: The URL is not valid.
        """
        self.configured = parse_address(url)
        """The configured address."""
        self._name, self._connecting, self._credentials = name, connecting, credentials
        self._network = network or Network()
        self._tls: ssl.SSLContext | None = None
        self._used: dict[str, str] = {}  # IP address of each other host
        self._scope = AddressScope.LOOPBACK  # of the configured host, once it is connected

    def credentials(self, address: Address) -> Credentials | None:
        """Return the credentials if they may be sent to this address: the configured host, with TLS if it was configured."""
        weaker = self.configured.encrypted and not address.encrypted
        return self._credentials if self.is_own(address) and not weaker else None

    def is_own(self, address: Address) -> bool:
        """Whether an address is on the configured host."""
        return address.host == self.configured.host

    def follow(self, current: Address, location: str) -> Address:
        """Return the address that a redirect or a playlist leads to.

        Raises:
            SourceRedirectError: It may not be followed: another protocol, or without TLS while the configured address has TLS.
        """
        try:
            target = parse_address(urljoin(current.url, location.strip()))
        except ValueError:
            raise SourceRedirectError(f"{self._name}: leads to an address that is not followed: not a camera's URL") from None
        if not any(target.scheme in family and current.scheme in family for family in _FAMILIES):
            raise SourceRedirectError(f"{self._name}: leads to {target.origin}, another protocol; refused")
        if self.configured.encrypted and not target.encrypted:
            raise SourceRedirectError(f"{self._name}: leads to {target.origin}, which is not encrypted; refused")
        return target

    def pinned(self, address: Address) -> Address:
        """Return the address with the IP address that ``connect`` used, where another resolution could lead elsewhere.

        The configured host, and hosts whose certificate is verified by name, keep their names.
        """
        ip = self._used.get(address.host)
        return address if ip is None or address.encrypted else replace(address, host=ip)

    def connect(self, address: Address, timeout_s: float) -> socket.socket:
        """Open a connection, with TLS where the address has it.

        Args:
            address: An address from ``configured`` or ``follow``.
            timeout_s: Longest wait for the connection, and then for TLS; also set on the socket.

        Raises:
            SourceError: There is no connection, or the certificate is not valid.
            SourceRedirectError: The address is further inside the network than the configured host.
        """
        try:
            connection = self._connect(address, timeout_s)
            return self._encrypt(connection, address) if address.encrypted else connection
        except ssl.SSLError as exc:
            problem, remedy = tls_failure(exc)
            raise SourceError(f"{self._name}: {self._at(address)}{problem}", remedy) from None
        except TimeoutError:
            raise timeout_error(self._name, timeout_s) from None
        except ConnectionRefusedError:
            raise connection_refused(self._name) from None
        except socket.gaierror as exc:
            raise unknown_host(self._name, self._at(address), exc.strerror or "no address") from None
        except (OSError, UnicodeError) as exc:
            reason = getattr(exc, "strerror", None) or "no connection"
            raise SourceError(f"{self._name}: {self._at(address)}cannot be read ({reason})") from None

    def _connect(self, address: Address, timeout_s: float) -> socket.socket:
        if self.is_own(address):
            connection, ip = self._network.connect(address.host, address.port, timeout_s)
            self._scope = address_scope(ip)
            return connection
        found = self._network.resolve(address.host, address.port)
        allowed = [ip for ip in found if self._connecting.allow_inward_redirects or address_scope(ip) <= self._scope]
        if not allowed:
            raise self._inward(address, max(address_scope(ip) for ip in found))
        self._used[address.host] = allowed[0]
        return self._network.connect(allowed[0], address.port, timeout_s)[0]

    def _inward(self, address: Address, scope: AddressScope) -> SourceRedirectError:
        return SourceRedirectError(
            f"{self._name}: leads from a {self._scope} to a {scope} address ({address.origin}); refused",
            "allow_inward_redirects = true of the camera allows it",
        )

    def _encrypt(self, connection: socket.socket, address: Address) -> socket.socket:
        try:
            if self._tls is None:
                self._tls = client_context(self._connecting.ca_file, verify=self._connecting.tls_verify)
            return self._tls.wrap_socket(connection, server_hostname=address.host)
        except BaseException:
            connection.close()
            raise

    def _at(self, address: Address) -> str:
        return "" if self.is_own(address) else f"{address.origin}: "
