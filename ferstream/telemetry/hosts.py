"""Under which names the pages answer. No I/O.

A web page of somebody else can give its own DNS name the address of this machine (DNS rebinding); the browser then takes
the pages for a part of that site. Its requests carry that name in ``Host``, so other names than those of this machine are
refused. An IP address in ``Host`` is never such an attack, because no DNS name was used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from ferstream.runtime import addresses

LOCAL_SUFFIXES = ("local", "lan", "home", "home.arpa", "internal", "localdomain")
"""Domains of local networks. Nobody can register a name in them, so the host name followed by one is this machine."""


class HostNames:
    """The names of this machine that ``Host`` may have.

    Args:
        names: Host names of this machine, with or without a domain.
        configured: More names, from the settings.
        any_address: Whether every IP address is accepted; False accepts those of the loopback interface only.
    """

    def __init__(self, names: Iterable[str] = (), configured: Iterable[str] = (), *, any_address: bool) -> None:
        self._any_address = any_address
        own = {_normal(name) for name in names if name}
        short = {name.partition(".")[0] for name in own}
        local = {f"{name}.{suffix}" for name in short for suffix in LOCAL_SUFFIXES}
        self._names = {*own, *short, *local, *(_normal(name) for name in configured)}

    def allows(self, header: str | None) -> bool:
        """Return whether a request with this ``Host`` header is answered; its port does not matter."""
        try:
            host, _ = addresses.split_host_port(header or "")
        except ValueError:
            return False
        if addresses.is_loopback(host) or _normal(host) in self._names:
            return True
        return self._any_address and _is_address(host)


def _normal(name: str) -> str:
    return name.lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
