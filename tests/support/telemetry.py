"""A telemetry server with the counters of a test, and one HTTP request to it."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Sequence
from contextlib import suppress

from starlette.routing import BaseRoute

from ferstream.runtime.counters import Counters
from ferstream.telemetry.access_policy import access_to
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.connections import ConnectionLimits
from ferstream.telemetry.health import Check, Report
from ferstream.telemetry.readings import BuildInfo, Readings
from ferstream.telemetry.server import TelemetryServer

TOKEN = "correct-horse-battery-staple"
FINE = Report((Check("stage:capture", True, "last beat 0.1 s ago"),))


def server_of(
    counters: Counters,
    *,
    listen: str = "127.0.0.1:0",
    token: str | None = None,
    health: Callable[[], Report] = lambda: FINE,
    ready: Callable[[], Report] = lambda: FINE,
    limits: ConnectionLimits | None = None,
    routes: Sequence[BaseRoute] = (),
) -> TelemetryServer:
    """Make a server that is not started yet."""
    readings = Readings(snapshot=counters.snapshot, cameras=lambda: ["door"], build=lambda: BuildInfo("1", "m", "b"))
    return TelemetryServer(
        listen=listen,
        registry=build_registry(readings),
        health=health,
        ready=ready,
        access=access_to(listen, token=token),
        title="<edge-1>",
        limits=limits,
        routes=routes,
    )


def ask(
    server: TelemetryServer, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], str]:
    """Send one request; return status, headers by lower-case name, and body."""
    connection = http.client.HTTPConnection(server.address.host, server.address.port, timeout=60)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # the answer may come before all of the body is sent
            connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()
