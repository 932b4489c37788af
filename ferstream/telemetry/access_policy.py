"""All rules of access to the pages together. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ferstream.telemetry.access import Authenticator, RateLimit, parse_listen, require_token
from ferstream.telemetry.hosts import HostNames
from ferstream.telemetry.path_rules import PathRule, PathRules
from ferstream.telemetry.sessions import Sessions

_COOKIE_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use the pages, under which names, and how much they may send.

    Attributes:
        authenticator: Checks the token and sessions.
        hosts: The names in ``Host`` that are answered.
        paths: Size limits of bodies, and paths that need no login.
        limit: Rate limit per peer address.
    """

    authenticator: Authenticator
    hosts: HostNames
    paths: PathRules = field(default_factory=PathRules)
    limit: RateLimit = field(default_factory=RateLimit)


def access_to(
    listen: str,
    *,
    token: str | None = None,
    names: Iterable[str] = (),
    allowed_hosts: Iterable[str] = (),
    paths: Iterable[PathRule] = (),
) -> Access:
    """Make the rules of one server.

    Args:
        listen: ``host:port`` of ``http.listen``.
        token: The token; required unless ``listen`` is loopback.
        names: Names of this machine and this node.
        allowed_hosts: More host names, from the settings.
        paths: What is special at single paths.

    Raises:
        ConfigError: ``listen`` is malformed, or open to the network without a token, or the token is poor.
    """
    address = parse_listen(listen)
    require_token(address, token)
    names = tuple(names)
    return Access(
        authenticator=Authenticator(token, sessions=Sessions(cookie=_cookie(address.port, names))),
        hosts=HostNames(names, allowed_hosts, any_address=token is not None),
        paths=PathRules(paths),
    )


def _cookie(port: int, names: Iterable[str]) -> str:
    """Return the name of the cookie. Browsers give a host's cookies to all of its ports, so each daemon has a name of its own."""
    text = "\0".join((str(port), *names))
    return f"ferstream_{hashlib.sha256(text.encode()).hexdigest()[:_COOKIE_DIGITS]}"
