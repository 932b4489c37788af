"""The answer of ``/api/1/events``: a stream of server-sent events to one viewer. Runs on the event loop of the HTTP server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ferstream.web.hub import Hub
from ferstream.web.messages import RETRY
from ferstream.web.viewer import Viewer

CONNECTION = "ferstream.connection"
"""Key of the ``Connection`` in the scope of a request."""


class Connection(Protocol):
    """The connection of a request, which is closed after a while unless it is extended."""

    def extend(self, seconds: float) -> None:
        """Close it after so many seconds from now."""

    def restore(self) -> None:
        """The usual limits hold again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimings:
    """Times of a stream, in seconds.

    Attributes:
        keep_alive_s: Longest time without a message, after which a comment is sent.
        stalled_s: A viewer that takes nothing for so long is dropped; longer than ``keep_alive_s``.
        closing_s: Time that a viewer has to take the rest at the end.
    """

    keep_alive_s: float = 15.0
    stalled_s: float = 30.0
    closing_s: float = 0.5


class EventStream(Response):
    """Sends a viewer what the hub has for it, one write for all that waits, until one side ends."""

    media_type = "text/event-stream"

    def __init__(self, viewer: Viewer, hub: Hub, timings: StreamTimings) -> None:
        """Make the answer.

        Args:
            viewer: A viewer that has joined the hub; it leaves at the end.
            hub: The hub.
            timings: When to send a comment, and when to give up.
        """
        # nginx would collect the events of minutes otherwise.
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._viewer, self._hub, self._timings = viewer, hub, timings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the viewer is gone or the hub closes."""
        connection: Connection | None = scope.get(CONNECTION)
        if connection is not None:
            # A viewer that reads nothing would hold up the end of the daemon.
            self._viewer.call_at_close(partial(connection.extend, self._timings.closing_s))
        gone = asyncio.create_task(self._close_when_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_all(send, connection)
            await send(_body(b"", more=False))
        finally:
            self._hub.leave(self._viewer)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
            if connection is not None:
                connection.restore()

    async def _send_all(self, send: Send, connection: Connection | None) -> None:
        data: bytes | None = RETRY
        while data is not None:
            if connection is not None:
                connection.extend(self._timings.stalled_s)
            await send(_body(data))
            # An empty piece waits until the system has taken the one before. Only then the newest messages are taken, so that a
            # slow viewer gets the newest frame and not one that has waited.
            await send(_body(b""))
            data = await self._viewer.take(self._timings.keep_alive_s)

    async def _close_when_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._viewer.close()


def _body(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
