"""Limits on open connections, for which uvicorn has no option.

A client that sends its request one byte a minute is neither idle nor finished, so uvicorn keeps its connection open;
and uvicorn's ``limit_concurrency`` answers 503 to everybody once the limit is reached. Here a connection over a limit
closes the oldest connection instead, so that clients which dawdle cannot shut out the others.

Only the event loop of the telemetry server calls this module.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections may be open, and for how long.

    Attributes:
        total: Most open connections; one more closes the oldest of the peer that has the most.
        per_peer: Most open connections of one peer address; one more closes that peer's oldest.
        lifetime_s: A connection is closed after so many seconds, whatever its state.
    """

    total: int = 64
    per_peer: int = 16
    lifetime_s: float = 30.0


class Abortable(Protocol):
    """The part of ``asyncio.Transport`` that is used."""

    def abort(self) -> None:
        """Close the connection at once."""
        ...


class OpenConnections:
    """The open connections by peer, the oldest first.

    Args:
        limits: Most connections in total and per peer.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._by_peer: dict[str, dict[Abortable, None]] = {}

    def __len__(self) -> int:
        """Number of open connections."""
        return sum(len(held) for held in self._by_peer.values())

    def add(self, peer: str, transport: Abortable) -> None:
        """Register a new connection, and abort an older one when a limit is exceeded."""
        self._by_peer.setdefault(peer, {})[transport] = None
        if len(self._by_peer[peer]) > self._limits.per_peer:
            self._abort_oldest(peer)
        elif len(self) > self._limits.total:
            self._abort_oldest(max(self._by_peer, key=lambda name: len(self._by_peer[name])))

    def remove(self, peer: str, transport: Abortable) -> None:
        """Forget a connection that was closed; one that is not registered is ignored."""
        held = self._by_peer.get(peer, {})
        held.pop(transport, None)
        if not held:
            self._by_peer.pop(peer, None)

    def _abort_oldest(self, peer: str) -> None:
        oldest = next(iter(self._by_peer[peer]))
        self.remove(peer, oldest)
        oldest.abort()


def limited_protocol(limits: ConnectionLimits) -> type[H11Protocol]:
    """Return uvicorn's HTTP protocol class with these limits, for ``uvicorn.Config(http=...)`` of one server."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    connections = OpenConnections(limits)

    class LimitedProtocol(H11Protocol):
        """Overrides asyncio's two connection callbacks and nothing of uvicorn's own."""

        _peer: str = ""
        _connection: asyncio.Transport | None = None
        _lifetime: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = cast("asyncio.Transport", transport)
            super().connection_made(connection)
            self._peer = str((connection.get_extra_info("peername") or ("",))[0])
            self._connection = connection
            self._lifetime = asyncio.get_running_loop().call_later(limits.lifetime_s, connection.abort)
            connections.add(self._peer, connection)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._lifetime is not None:
                self._lifetime.cancel()
            if self._connection is not None:
                connections.remove(self._peer, self._connection)
            super().connection_lost(exc)

    return LimitedProtocol
