"""A viewer of the live page, over real HTTP; and the routes on a real server without a daemon."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.event import CameraState
from ferstream.runtime.addresses import ListenAddress
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.runtime.counters import Counters
from ferstream.telemetry.connections import ConnectionLimits
from ferstream.telemetry.server import TelemetryServer
from ferstream.web.feed import LiveFeed
from ferstream.web.history import History
from ferstream.web.hub import Hub
from ferstream.web.live import LiveSource, live_routes
from ferstream.web.page import LivePage
from ferstream.web.stream import StreamTimings
from tests.support.runners import PATIENCE_S
from tests.support.telemetry import ask, server_of

JPEG_URL = "data:image/jpeg;base64,"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One server-sent event.

    Attributes:
        kind: Its ``event``.
        data: Its decoded ``data``.
        raw: Its ``data`` as it came.
    """

    kind: str
    data: dict[str, Any]
    raw: bytes


class Viewer:
    """Reads ``/api/1/events``; a context manager that closes the connection.

    Args:
        address: Of the server.
        cameras: Names of the cameras; none for all.
        headers: More headers.
        source: The viewer's own loopback address; each has a rate limit of its own.
    """

    def __init__(self, address: ListenAddress, *cameras: str, headers: dict[str, str] | None = None, source: str = "127.0.0.1") -> None:
        self._connection = http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE_S, source_address=(source, 0))
        query = "&".join(f"camera={camera}" for camera in cameras)
        self._connection.request("GET", "/api/1/events" + (f"?{query}" if query else ""), headers=headers or {})
        self.answer = self._connection.getresponse()

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def sock(self) -> socket.socket:
        """The connection."""
        assert self._connection.sock is not None
        return self._connection.sock

    def close(self) -> None:
        """Go away."""
        self.answer.close()
        self._connection.close()

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the stream, comments too, without their ends."""
        while line := self.answer.readline():
            yield line.rstrip(b"\n")

    def events(self) -> Iterator[LiveEvent]:
        """Yield the events of the stream until it ends."""
        kind = ""
        for line in self.lines():
            if line.startswith(b"event: "):
                kind = line[7:].decode()
            elif line.startswith(b"data: "):
                yield LiveEvent(kind, json.loads(line[6:]), line[6:])

    def wait(self, kind: str, is_it: Callable[[dict[str, Any]], bool] = lambda data: True) -> dict[str, Any]:
        """Read until an event of this kind comes that is the right one, and return it."""
        for event in self.events():
            if event.kind == kind and is_it(event.data):
                return event.data
        raise AssertionError(f"the stream ended before the event {kind}")


def picture_of(message: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Decode the picture of a frame message: (h, w, 3) uint8 BGR."""
    url = message["picture"]
    assert url.startswith(JPEG_URL)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(url.removeprefix(JPEG_URL)), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def read_state(server: TelemetryServer) -> dict[str, Any]:
    """Ask for the state; the answer may be half a second old."""
    status, _, body = ask(server, "/api/1/state")
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


def wait_state(server: TelemetryServer, is_so: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Ask for the state until it is so; within the rate limit."""
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not is_so(found := read_state(server)):
        assert time.monotonic() < deadline, found
        pause.wait(0.1)
    return found


class LiveServer:
    """Hub, feed, page and routes on a real HTTP server; the test is the pipeline. A context manager.

    Args:
        commands: Whether cameras may be switched.
        max_viewers: Streams that may be open at once.
        timings: Times of a stream.
        token: Bearer token of the server.
        lifetime_s: Life of a connection in seconds.
        clock: Monotonic time.
        feed: Other options of ``LiveFeed``.
    """

    def __init__(
        self,
        *,
        commands: bool = True,
        max_viewers: int = 32,
        timings: StreamTimings | None = None,
        token: str | None = None,
        lifetime_s: float = 30.0,
        clock: Clock | None = None,
        **feed: Any,
    ) -> None:
        self.counters, self.cameras = Counters(), ["door", "yard"]
        self.hub = Hub(observer=self.counters, max_viewers=max_viewers)
        options = {"pixels": False, "aggregate_only": False, "max_fps": 1e6} | feed
        self.feed = LiveFeed(self.hub, observer=self.counters, clock=clock or SystemClock(), **options)
        self.page = LivePage(node="edge-1", version="1", feed=self.feed, history=History(show_faces=True))
        self.page.cameras_changed(self.cameras)
        self.states: list[CameraState] = []
        self.switched: list[tuple[str, bool]] = []
        self.state_reads = 0
        source = LiveSource(
            hub=self.hub,
            cameras=lambda: tuple(self.cameras),
            state=self._state,
            greeting=lambda asked: self.page.greeting(self.cameras, self.states, asked),
            switch=(lambda camera, on: self.switched.append((camera, on))) if commands else None,
            clock=clock or SystemClock(),
            timings=timings or StreamTimings(),
        )
        self.server = server_of(self.counters, token=token, limits=ConnectionLimits(lifetime_s=lifetime_s), routes=live_routes(source))

    def _state(self) -> dict[str, object]:
        self.state_reads += 1
        return {"api": 1, "reads": self.state_reads}

    def __enter__(self) -> LiveServer:
        self.server.start()
        self.feed.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.feed.close()
        self.server.stop()

    def viewer(self, *cameras: str, headers: dict[str, str] | None = None, source: str = "127.0.0.1") -> Viewer:
        """Open a stream; on return the viewer has joined."""
        return Viewer(self.server.address, *cameras, headers=headers, source=source)
