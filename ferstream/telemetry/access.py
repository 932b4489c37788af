"""Who may ask and how often: the address rule, the token, the rate limit. No I/O."""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from ferstream.errors import ConfigError
from ferstream.runtime.clock import Clock, SystemClock

MIN_TOKEN_CHARS = 16
"""Shorter tokens could be guessed at the permitted rate."""
_MAX_PEERS = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. ``port`` 0 asks for a free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(listen: str, *, key: str = "http.listen") -> Address:
    """Read ``host:port`` or ``[ipv6]:port``.

    Raises:
        ConfigError: It is neither.
    """
    host, separator, port = listen.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    # isdecimal alone accepts digits of other scripts.
    if not separator or not bare or (":" in bare) != (bare != host) or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ConfigError(f'{key} = "{listen}": want "host:port" or "[ipv6]:port" with a port of 0 to 65535, e.g. "127.0.0.1:9108"')
    return Address(bare, int(port))


def require_token(address: Address, token: str | None) -> None:
    """Refuse an address that others can reach while anybody could read it, and a token that could be guessed.

    Raises:
        ConfigError: The address is not loopback and there is no token, or the token is short or not plain ASCII.
            The message never holds the token.
    """
    if token is None:
        if not address.loopback:
            way = "name a file with one in http.token_file, or listen on 127.0.0.1"
            raise ConfigError(f"{address} is open to the network and needs a token: {way}")
    elif len(token) < MIN_TOKEN_CHARS or not all("!" <= char <= "~" for char in token):
        raise ConfigError(
            f"the token of the metrics page must have at least {MIN_TOKEN_CHARS} ASCII characters and no space; "
            "make one with: openssl rand -hex 32"
        )


def authorised(header: str | None, token: str | None) -> bool:
    """Whether an ``Authorization`` header carries the token; compared in constant time."""
    if token is None:
        return True
    scheme, _, given = (header or "").partition(" ")
    # Compared in bytes: compare_digest refuses non-ASCII text.
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and same


def local_name(host_header: str | None) -> bool:
    """Whether a ``Host`` header names this machine, so that no web page can read us through a DNS name of its own."""
    host = (host_header or "").strip()
    bare = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return Address(bare, 0).loopback


class RateLimit:
    """A token bucket per peer, for the one thread of the server.

    Args:
        per_second: Requests a peer may make in the long run.
        burst: Requests it may make at once.
        clock: Time source.
    """

    def __init__(self, *, per_second: float = 10.0, burst: float = 30.0, clock: Clock | None = None) -> None:
        self._per_ns = per_second / 1e9
        self._burst = burst
        self._clock = clock or SystemClock()
        self._peers: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def allow(self, peer: str, cost: float = 1.0) -> bool:
        """Take ``cost`` from the peer's bucket; False when it is empty."""
        now = self._clock.monotonic_ns()
        level, at = self._peers.pop(peer, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_ns)
        allowed = level >= 1.0
        self._peers[peer] = (max(0.0, level - cost) if allowed else level, now)
        if len(self._peers) > _MAX_PEERS:
            self._peers.popitem(last=False)
        return allowed
