"""Who may use the pages, and how often: the token, sessions, rate limits. No I/O.

Called by the event loop of the telemetry server; ``parse_listen`` and ``require_token`` also by the settings.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from enum import Enum

from ferstream.errors import ConfigError
from ferstream.runtime import addresses
from ferstream.runtime.addresses import ListenAddress
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.telemetry.sessions import Sessions

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


def is_bearer(header: str | None) -> bool:
    """Return whether an ``Authorization`` header has the scheme of tokens; a proxy may pass on another one, which is ignored."""
    return (header or "").partition(" ")[0].lower() == "bearer"


class RateLimit:
    """A token bucket for each peer. Not thread-safe: only the server's event loop calls it.

    The defaults let twenty viewers behind one address load the page at once, and ask for the state every two seconds.

    Args:
        per_second: Requests a peer may make per second in the long run.
        burst: Requests it may make at once.
        clock: Monotonic time.
    """

    def __init__(self, *, per_second: float = 40.0, burst: float = 400.0, clock: Clock | None = None) -> None:
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


class Answer(Enum):
    """Result of a check of credentials."""

    ALLOWED = "allowed"
    MISSING = "missing"
    WRONG = "wrong"
    TOO_MANY = "too many"
    """The peer guessed too often; its credentials were not looked at."""


class Authenticator:
    """Checks the token, in a header or a login form, and sessions.

    Wrong tokens are limited for each peer, beside its rate of requests. A peer that reached that limit cannot try another
    token until it has waited; sessions that are open go on.

    Args:
        token: The token; None lets everybody in.
        sessions: The sessions of those who logged in.
        guesses: How many wrong tokens a peer may send.
    """

    def __init__(self, token: str | None, *, sessions: Sessions, guesses: RateLimit | None = None) -> None:
        self._token, self.sessions = token, sessions
        self._guesses = guesses or RateLimit(per_second=0.2, burst=5.0)

    @property
    def required(self) -> bool:
        """Whether there is a token."""
        return self._token is not None

    def check_header(self, header: str | None, peer: str) -> Answer:
        """Check the ``Authorization`` header of a request.

        Args:
            header: Its value; None without one.
            peer: Address of the other side.
        """
        if self._token is None:
            return Answer.ALLOWED
        if not is_bearer(header):
            return Answer.MISSING
        return self._limited(peer, authorised(header, self._token))

    def check_token(self, given: str, peer: str) -> Answer:
        """Check what somebody typed into the login form.

        Args:
            given: The text.
            peer: Address of the other side.
        """
        return self._limited(peer, authorised(f"Bearer {given}", self._token))

    def _limited(self, peer: str, right: bool) -> Answer:
        """Return the answer to a token. It is compared also where the result does not matter, which takes the same time."""
        network = _network(peer)
        if not self._guesses.allow(network, 0.0):
            return Answer.TOO_MANY
        if right:
            return Answer.ALLOWED
        self._guesses.allow(network)
        return Answer.WRONG


def _network(peer: str) -> str:
    """Return the address, and of IPv6 the network of 64 bits: one machine has all addresses in it."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped is not None:
        return peer
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
