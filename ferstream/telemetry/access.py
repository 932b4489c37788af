"""Who may read the pages, and how often: the token, the host name, the rate limit. No I/O.

Called by the event loop of the telemetry server; ``parse_listen`` and ``require_token`` also by the settings.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict

from ferstream.errors import ConfigError
from ferstream.runtime import addresses
from ferstream.runtime.addresses import ListenAddress
from ferstream.runtime.clock import Clock, SystemClock

MIN_TOKEN_CHARS = 16
"""Shorter tokens could be guessed at the permitted rate."""
MAX_PEERS = 1024
"""Most peers whose request rate is remembered."""


def parse_listen(listen: str, *, key: str = "http.listen") -> ListenAddress:
    """Read ``host:port`` or ``[ipv6]:port``.

    Raises:
        ConfigError: The value has another form; the message names ``key``.
    """
    try:
        return addresses.parse_listen(listen)
    except ValueError as exc:
        raise ConfigError(f'{key} = "{listen}": {exc}') from None


def require_token(address: ListenAddress, token: str | None) -> None:
    """Refuse a network address without a token, and a token that could be guessed.

    Raises:
        ConfigError: The address is not loopback and there is no token, or the token is short or not plain ASCII.
            The message never contains the token.
    """
    if token is None:
        if not address.loopback:
            way = "name a file with one in http.token_file, or listen on 127.0.0.1"
            raise ConfigError(f"{address} is open to the network and needs a token; {way}")
    elif len(token) < MIN_TOKEN_CHARS or not all("!" <= char <= "~" for char in token):
        raise ConfigError(
            f"the token of the metrics page must have at least {MIN_TOKEN_CHARS} ASCII characters and no space; "
            "make one with: openssl rand -hex 32"
        )


def authorised(header: str | None, token: str | None) -> bool:
    """Return whether an ``Authorization`` header carries the token; the comparison takes constant time.

    Args:
        header: Value of the header; None when the request has none.
        token: The expected token; None lets every request pass.
    """
    if token is None:
        return True
    scheme, _, given = (header or "").partition(" ")
    # Compare bytes: compare_digest refuses text that is not ASCII.
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and same


def is_local_host_header(value: str | None) -> bool:
    """Return whether a ``Host`` header names this machine.

    A web page that resolves its own DNS name to 127.0.0.1 (DNS rebinding) sends that name and is refused.
    """
    try:
        host, _ = addresses.split_host_port(value or "")
    except ValueError:
        return False
    return addresses.is_loopback(host)


class RateLimit:
    """A token bucket for each peer. Not thread-safe: only the server's event loop calls it.

    Args:
        per_second: Requests a peer may make per second in the long run.
        burst: Requests it may make at once.
        clock: Monotonic time.
    """

    def __init__(self, *, per_second: float = 20.0, burst: float = 120.0, clock: Clock | None = None) -> None:
        self._per_ns = per_second / 1e9
        self._burst = burst
        self._clock = clock or SystemClock()
        self._peers: OrderedDict[str, tuple[float, int]] = OrderedDict()

    @property
    def peers(self) -> int:
        """Number of peers remembered, at most ``MAX_PEERS``; the least recent are forgotten."""
        return len(self._peers)

    def allow(self, peer: str, cost: float = 1.0) -> bool:
        """Take ``cost`` requests from the peer's bucket; return False when the bucket is empty."""
        now = self._clock.monotonic_ns()
        level, at = self._peers.pop(peer, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_ns)
        allowed = level >= 1.0
        self._peers[peer] = (max(0.0, level - cost) if allowed else level, now)
        if len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)
        return allowed
