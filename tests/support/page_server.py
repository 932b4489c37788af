"""A daemon that says what a test wants: the page's real files and HTTP server, and a scripted ``/api/1/`` behind them."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ferstream.telemetry.access_policy import access_to
from ferstream.telemetry.health import Report
from ferstream.telemetry.path_rules import PathRule
from ferstream.telemetry.server import TelemetryServer
from ferstream.web.pages import static_routes
from tests.support import page_faces

Json = dict[str, Any]
Greeting = Callable[[], list[tuple[str, Json]]]
_MAX_BODY = 64 * 1024 * 1024
_STREAM_S = 3600.0


class ScriptedDaemon:
    """Serves the page and answers its API from attributes that a test sets, from any thread.

    Attributes:
        state: Answer of ``/api/1/state``.
        greeting: Returns the first messages of a stream, behind ``hello``.
        recordings: Answer of ``/api/1/recordings``.
        timeline: Answer of a recording's timeline.
        stills: Answers of ``/api/1/stills``: (status, body), the first one first; the last one stays.
        refusal: Why streams are refused; empty if they are not.
        calls: "METHOD path" of all requests to the API, and what a camera was switched to.
    """

    def __init__(self, **changes: Any) -> None:
        """Set up a daemon in order.

        Args:
            changes: Keys of the state that differ.
        """
        self.state = page_faces.state() | changes
        self.greeting: Greeting = list
        self.recordings: list[Json] = []
        self.timeline = page_faces.timeline()
        self.stills: list[tuple[int, Json]] = [(200, page_faces.still())]
        self.upload_answer: tuple[int, Json] = (201, {"id": "r1", "name": "clip.mp4", "state": "running", "progress": 0.0})
        self.calls: list[str] = []
        self.refusal = ""
        self._streams: list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[bytes | None]]] = []
        self._port, self._stopping = 0, False
        self._server: TelemetryServer | None = None

    @property
    def url(self) -> str:
        """Address of the page; the same one after ``start`` again."""
        return f"http://127.0.0.1:{self._port}/"

    def __enter__(self) -> ScriptedDaemon:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; after the first time on the same port."""
        listen = f"127.0.0.1:{self._port}"
        self._stopping = False
        paths = [PathRule(path=path, max_body_bytes=_MAX_BODY) for path in ("/api/1/stills", "/api/1/recordings", "/api/1/cameras/door")]
        fine = lambda: Report(())  # noqa: E731 (two of the server's parameters)
        routes = [*static_routes(), *self._routes()]
        self._server = TelemetryServer(
            listen=listen, registry=CollectorRegistry(), health=fine, ready=fine, access=access_to(listen, paths=paths), routes=routes
        )
        self._server.start()
        self._port = self._server.address.port

    def stop(self) -> None:
        """End all streams and close the port."""
        self._stopping = True
        for loop, queue in self._streams:
            loop.call_soon_threadsafe(queue.put_nowait, None)
        self._streams.clear()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def send(self, kind: str, message: Json) -> None:
        """Send an event to all open streams."""
        for loop, queue in self._streams:
            loop.call_soon_threadsafe(queue.put_nowait, _event(kind, message))

    @property
    def streams(self) -> int:
        """Number of streams that are open."""
        return len(self._streams)

    def _routes(self) -> list[BaseRoute]:
        return [
            Route("/api/1/state", self._state),
            Route("/api/1/events", self._events),
            Route("/api/1/cameras/{name}", self._switch, methods=["POST"]),
            Route("/api/1/stills", self._stills, methods=["POST"]),
            Route("/api/1/recordings", self._recordings, methods=["GET", "POST"]),
            Route("/api/1/recordings/{id}", self._recording, methods=["GET", "DELETE"]),
            Route("/api/1/recordings/{id}/timeline", self._timeline),
        ]

    def _note(self, request: Request) -> None:
        self.calls.append(f"{request.method} {request.url.path}")

    async def _state(self, request: Request) -> Response:
        return JSONResponse(self.state)

    async def _events(self, request: Request) -> Response:
        self._note(request)
        if self.refusal:
            return JSONResponse({"error": self.refusal}, 503)
        if self._stopping:
            return Response(status_code=503)
        request.scope["ferstream.connection"].extend(_STREAM_S)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        entry = (asyncio.get_running_loop(), queue)
        self._streams.append(entry)

        async def body() -> AsyncIterator[bytes]:
            try:
                yield _event("hello", {key: self.state[key] for key in ("node", "version", "pixels", "aggregate_only")})
                for kind, message in self.greeting():
                    yield _event(kind, message)
                while (data := await queue.get()) is not None:
                    yield data
            finally:
                if entry in self._streams:
                    self._streams.remove(entry)

        return StreamingResponse(body(), media_type="text/event-stream")

    async def _switch(self, request: Request) -> Response:
        enabled = (await request.json())["enabled"]
        self.calls.append(f"{request.path_params['name']} {'on' if enabled else 'off'}")
        if not self.state["commands"]:
            return JSONResponse({"error": "commands are off"}, 403)
        self.state = copy.deepcopy(self.state)
        for entry in self.state["cameras"]:
            if entry["name"] == request.path_params["name"]:
                entry |= {"enabled": enabled, "status": "online" if enabled else "disabled"}
        return JSONResponse({}, 202)

    async def _stills(self, request: Request) -> Response:
        self._note(request)
        await request.body()
        status, body = self.stills.pop(0) if len(self.stills) > 1 else self.stills[0]
        return JSONResponse(body, status, {"retry-after": "1"} if status == 503 else None)

    async def _recordings(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(self.recordings)
        self._note(request)
        await request.body()
        status, body = self.upload_answer
        if status == 201:
            self.recordings = [body | {"name": request.query_params["name"]}]
        return JSONResponse(body, status)

    async def _recording(self, request: Request) -> Response:
        self._note(request)
        if request.method == "DELETE":
            self.recordings = [item for item in self.recordings if item["id"] != request.path_params["id"]]
        return Response(status_code=204)

    async def _timeline(self, request: Request) -> Response:
        return JSONResponse(self.timeline)


def _event(kind: str, message: Json) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(message)}\n\n".encode()
