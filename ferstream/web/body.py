"""Reads the body of a request as it comes, with limits on its size and its speed. Runs on the event loop of the HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request

from ferstream.web.api_error import ApiError

CONNECTION = "ferstream.connection"
"""Key of the request's connection in its scope; the HTTP server puts it there."""
_CLOSE = {"connection": "close"}


class Extendable(Protocol):
    """The connection of a request, which the server closes after a while."""

    def extend(self, seconds: float) -> None:
        """Let it live for so many seconds from now."""
        ...

    def restore(self) -> None:
        """Let the usual limits hold again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How large a body may be, and how slow.

    Attributes:
        max_bytes: Longest body.
        window_s: Length in seconds of the windows in which progress is measured.
        least_bytes: A body that brings fewer bytes in a window is ended.
        may_take_long: Whether the connection may live longer than others while the body comes. The page limits the number of these.
    """

    max_bytes: int
    window_s: float = 10.0
    least_bytes: int = 64 * 1024
    may_take_long: bool = True


class NoConnection:
    """Stands for the connection of a server that does not limit its connections."""

    def extend(self, seconds: float) -> None:
        """Do nothing."""

    def restore(self) -> None:
        """Do nothing."""


def connection_of(request: Request) -> Extendable:
    """Return the connection of a request."""
    found: Any = request.scope.get(CONNECTION)
    return NoConnection() if found is None else found


async def read_body(request: Request, take: Callable[[bytes], Any], limits: BodyLimits) -> int:
    """Read a body to its end; return its length in bytes.

    Args:
        request: The request.
        take: Called with each piece; must not wait long.
        limits: Size and speed.

    Raises:
        ApiError: It is too large (413) or too slow (408).
        ClientDisconnect: The client went away.
    """
    count = 0
    async for piece in timely_pieces(request, limits):
        count += len(piece)
        if count > limits.max_bytes:
            raise ApiError(413, f"the upload is too large; at most {limits.max_bytes:,} bytes are accepted", _CLOSE)
        take(piece)
    return count


async def timely_pieces(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """Yield the pieces of a body; the connection lives on while they come fast enough.

    Raises:
        ApiError: In one window fewer bytes came than the limits ask for (408).
        ClientDisconnect: The client went away.
    """
    loop = asyncio.get_running_loop()
    connection = connection_of(request) if limits.may_take_long else NoConnection()
    pieces = request.stream()
    window_ends, in_window = loop.time() + limits.window_s, 0
    while True:
        connection.extend(2 * limits.window_s)
        try:
            async with asyncio.timeout_at(window_ends):
                piece = await anext(pieces, None)
        except TimeoutError:
            if in_window < limits.least_bytes:
                raise ApiError(408, f"the upload is too slow; it was ended after {limits.window_s:g} s without progress", _CLOSE) from None
            window_ends, in_window = loop.time() + limits.window_s, 0
            pieces = request.stream()
            continue
        if piece is None:
            return
        in_window += len(piece)
        yield piece
        if loop.time() >= window_ends and in_window >= limits.least_bytes:
            window_ends, in_window = loop.time() + limits.window_s, 0
