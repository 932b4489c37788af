"""Network addresses: whether a host is this machine, and how ``host:port`` is read. No I/O, no name look-up."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import IntEnum

LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})
"""Host names that mean this machine on every system; any other name could be resolved to anything."""

MAX_PORT = 65_535
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_HOST_AND_PORT = re.compile(r"(?:\[(?P<ipv6>[^\s\[\]]+)\]|(?P<name>[^\s\[\]:/?#@]+))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on.

    Attributes:
        host: Host name or IP address, IPv6 without brackets.
        port: 0 to 65535; 0 asks the system for a free port.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can connect to it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        """``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Return whether a host names the loopback interface of this machine.

    True for ``localhost`` and its IPv6 names, 127.0.0.0/8, ::1, and IPv4-mapped forms such as ``::ffff:127.0.0.1``.

    Args:
        host: Host name or IP address, IPv6 without brackets.
    """
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def split_host_port(value: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[ipv6]`` or ``[ipv6]:port``.

    Returns:
        The host, IPv6 without brackets, and the port; None when the value names no port.

    Raises:
        ValueError: The value has another form, or the port is above 65535.
    """
    match = _HOST_AND_PORT.fullmatch(value)
    if match is None:
        raise ValueError("expected a host name or address, optionally followed by :port; IPv6 addresses in brackets")
    if match["ipv6"] is not None:
        try:
            ipaddress.IPv6Address(match["ipv6"])
        except ValueError:
            raise ValueError("expected an IPv6 address in the brackets") from None
    port = None if match["port"] is None else int(match["port"])
    if port is not None and port > MAX_PORT:
        raise ValueError(f"expected a port of 0 to {MAX_PORT}")
    return match["ipv6"] or match["name"], port


def parse_listen(value: str) -> ListenAddress:
    """Read an address to listen on: ``host:port`` or ``[ipv6]:port``.

    Raises:
        ValueError: The value has another form; the message says what was expected and does not repeat the value.
    """
    try:
        host, port = split_host_port(value)
    except ValueError:
        port = None
    if port is None:
        raise ValueError("expected address:port with a port of 0 to 65535, such as 127.0.0.1:9108 or [::1]:9108")
    return ListenAddress(host, port)


class AddressScope(IntEnum):
    """From where an IP address can be reached; a higher value is closer to this machine."""

    PUBLIC = 0
    PRIVATE = 1
    LINK_LOCAL = 2
    LOOPBACK = 3

    def __str__(self) -> str:
        """The name in words, such as ``link-local``."""
        return self.name.lower().replace("_", "-")


def address_scope(address: str) -> AddressScope:
    """Return the scope of an IP address; unspecified, multicast and reserved addresses count as loopback.

    An IPv6 address that contains an IPv4 address (mapped, 6to4, NAT64) has the scope of that one.

    Args:
        address: IPv4 or IPv6 address, with or without a zone.

    Raises:
        ValueError: The text is not an IP address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    return _scope(_embedded_ipv4(ip) or ip)


def _scope(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> AddressScope:
    if ip.is_loopback or ip.is_unspecified or ip.is_multicast or (ip.version == 4 and ip.is_reserved):
        return AddressScope.LOOPBACK
    if ip.is_link_local:
        return AddressScope.LINK_LOCAL
    return AddressScope.PUBLIC if ip.is_global else AddressScope.PRIVATE


def _embedded_ipv4(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
