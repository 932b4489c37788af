"""The routes of the live page: the state, the stream of events, and switching a camera."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ferstream.events.encode import Json, to_json
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.web.hub import Hub
from ferstream.web.messages import LiveMessage
from ferstream.web.requests import error_answer, is_foreign, json_answer
from ferstream.web.stream import EventStream, StreamTimings

STATE_LASTS_S = 0.5
"""Answers of the state within this time are the same bytes: many open pages cost no more than one."""
_RETRY_AFTER_S = "10"
_LONGEST_COMMAND = 1024
"""Bytes of a body that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSource:
    """What the routes are made from; every function is called on the event loop and must be quick.

    Attributes:
        hub: The viewers.
        cameras: Returns the names of all cameras.
        state: Returns the state of the daemon.
        greeting: Returns the first messages of a stream, for the names of its cameras.
        switch: Switches a camera on or off; None where commands are not allowed.
        clock: Monotonic time.
        timings: Times of a stream.
    """

    hub: Hub
    cameras: Callable[[], Collection[str]]
    state: Callable[[], Json]
    greeting: Callable[[Collection[str]], Iterable[LiveMessage]]
    switch: Callable[[str, bool], None] | None
    clock: Clock = field(default_factory=SystemClock)
    timings: StreamTimings = field(default_factory=StreamTimings)


def live_routes(source: LiveSource) -> list[BaseRoute]:
    """Return the routes of ``/api/1/state``, ``/api/1/events`` and ``/api/1/cameras/{name}``."""
    pages = LivePages(source)
    return [
        Route("/api/1/state", pages.state, methods=["GET"]),
        Route("/api/1/events", pages.events, methods=["GET"]),
        Route("/api/1/cameras/{name}", pages.camera, methods=["POST"]),
    ]


class LivePages:
    """Answers the requests; event loop only.

    Args:
        source: What the answers are made from.
    """

    def __init__(self, source: LiveSource) -> None:
        self._source = source
        self._state, self._state_until_ns = b"", 0

    async def state(self, request: Request) -> Response:
        """Return the state of the daemon."""
        now_ns = self._source.clock.monotonic_ns()
        if now_ns >= self._state_until_ns:
            self._state = to_json(self._source.state()).encode()
            self._state_until_ns = now_ns + round(STATE_LASTS_S * 1e9)
        return Response(self._state, media_type="application/json")

    async def events(self, request: Request) -> Response:
        """Open a stream of the cameras in the query, or of all."""
        source, asked = self._source, request.query_params.getlist("camera")
        known = source.cameras()
        unknown = sorted(set(asked) - set(known))
        if is_foreign(request):
            return error_answer("this stream is for pages of this address only", 403)
        if unknown:
            return error_answer(f"no camera has the name {unknown[0][:64]!r}", 404)
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if not source.hub.has_room:
            return error_answer("too many viewers; close another page, or try again later", 503, {"retry-after": _RETRY_AFTER_S})
        viewer = source.hub.join(asked or None)
        for message in source.greeting(asked or known):
            viewer.put(message)
        return EventStream(viewer, source.hub, source.timings)

    async def camera(self, request: Request) -> Response:
        """Switch a camera on or off, like the command by MQTT."""
        name = request.path_params["name"]
        if is_foreign(request):
            return error_answer("only pages of this address may switch cameras", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return error_answer("want a body of the type application/json", 415)
        if name not in self._source.cameras():
            return error_answer("no camera has this name", 404)
        if self._source.switch is None:
            return error_answer("commands are not allowed; set mqtt.commands = true and restart ferstream", 403)
        enabled = _enabled(await _read(request))
        if enabled is None:
            return error_answer('want {"enabled": true} or {"enabled": false}', 400)
        self._source.switch(name, enabled)
        return json_answer({"name": name, "enabled": enabled}, 202)


async def _read(request: Request) -> bytes:
    """Read a short body; of a longer one only so much that it is too long to be a command."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_COMMAND:
            break
    return body


def _enabled(body: bytes) -> bool | None:
    """Return the wanted state; None for a body that does not say it."""
    if len(body) > _LONGEST_COMMAND:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    enabled = value.get("enabled") if isinstance(value, dict) else None
    return enabled if isinstance(enabled, bool) and set(value) == {"enabled"} else None
