"""Limits on open connections, for which uvicorn has no option.

A client that sends its request one byte a minute is neither idle nor finished, so uvicorn keeps its connection open;
and uvicorn's ``limit_concurrency`` answers 503 to everybody once the limit is reached. Here a connection over a limit
closes the oldest connection instead, so that clients which dawdle cannot shut out the others.

A page whose answer or upload takes long (a stream of events, a recording) finds its connection in the request's scope under
``CONNECTION`` and extends its life while data moves. Such a connection does not count as one of its peer's; how many there may
be is up to the page.

Only the event loop of the telemetry server calls this module.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import H11Protocol


CONNECTION = "ferstream.connection"
"""Key of the ``LongConnection`` in the scope of a request."""
STREAM_SEND_BUFFER_BYTES = 128 * 1024
"""What the system may hold back for a stream whose reader is slow: about a second of pictures, instead of megabytes of old ones."""
UNACKNOWLEDGED_S = 30
"""A stream whose other side acknowledges nothing for so many seconds is closed: the machine is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections may be open, and for how long.

    Attributes:
        total: Most open connections; one more closes the oldest of the peer that has the most.
        per_peer: Most open connections of one peer address; one more closes that peer's oldest.
        lifetime_s: A connection is closed after so many seconds, whatever its state.
    """

    total: int = 256
    per_peer: int = 64
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


class LongConnection:
    """The connection of one request, for a page that needs it longer than ``ConnectionLimits.lifetime_s``.

    Args:
        transport: The connection.
        peer: Address of the other side.
        connections: All that are open and limited.
        lifetime_s: Seconds until it is closed, unless it is extended.
    """

    def __init__(self, transport: asyncio.Transport, peer: str, connections: OpenConnections, lifetime_s: float) -> None:
        self._transport, self._peer, self._connections, self._lifetime_s = transport, peer, connections, lifetime_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._limited = True
        connections.add(peer, transport)
        self._close_after(lifetime_s)

    def extend(self, seconds: float) -> None:
        """Close the connection after so many seconds from now instead; call it again whenever data moved."""
        if self._limited:
            self._limited = False
            self._connections.remove(self._peer, self._transport)
            self._send_without_delay()
        self._close_after(seconds)

    def restore(self) -> None:
        """The long answer is over: the usual limits hold again."""
        if not self._limited and not self._transport.is_closing():
            self._limited = True
            self._connections.add(self._peer, self._transport)
            self._close_after(self._lifetime_s)

    def lost(self) -> None:
        """The connection was closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connections.remove(self._peer, self._transport)

    def _close_after(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._check)

    def _check(self) -> None:
        if self._loop.time() >= self._deadline:
            self._transport.abort()
        else:
            self._arm()

    def _send_without_delay(self) -> None:
        """Report a full buffer at once, and keep it small: what waits in it grows old."""
        self._transport.set_write_buffer_limits(high=0)
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_SEND_BUFFER_BYTES)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_S * 1000)


class ConnectionScope:
    """ASGI middleware: puts the connection of a request into its scope.

    Args:
        app: The application behind it.
        find: Returns the connection of a client's address and port; None if it is closed.
    """

    def __init__(self, app: ASGIApp, find: Callable[[Any], LongConnection | None]) -> None:
        self._app, self._find = app, find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        connection = self._find(scope.get("client"))
        if connection is not None:
            scope[CONNECTION] = connection
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class LimitedProtocols:
    """What a server needs to limit its connections.

    Attributes:
        protocol: Class for ``uvicorn.Config(http=...)``.
        find: Returns the connection of a client's address and port, for ``ConnectionScope``.
    """

    protocol: type[H11Protocol]
    find: Callable[[Any], LongConnection | None]


def limited_protocol(limits: ConnectionLimits) -> LimitedProtocols:
    """Return uvicorn's HTTP protocol class with these limits, for one server."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    connections = OpenConnections(limits)
    by_client: dict[Any, LongConnection] = {}

    class LimitedProtocol(H11Protocol):
        """Overrides asyncio's two connection callbacks and nothing of uvicorn's own."""

        _client: tuple[str, int] = ("", 0)
        _connection: LongConnection | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = cast("asyncio.Transport", transport)
            super().connection_made(connection)
            self._client = tuple((connection.get_extra_info("peername") or ("", 0))[:2])
            self._connection = LongConnection(connection, str(self._client[0]), connections, limits.lifetime_s)
            by_client[self._client] = self._connection

        def connection_lost(self, exc: Exception | None) -> None:
            if self._connection is not None:
                self._connection.lost()
                by_client.pop(self._client, None)
            super().connection_lost(exc)

    return LimitedProtocols(LimitedProtocol, by_client.get)
