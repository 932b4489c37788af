"""The server's own four pages, for GET and HEAD. They run on the event loop of the telemetry server.

Handlers are coroutines that never wait, so Starlette starts no worker threads.
"""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ferstream.telemetry.health import Report
from ferstream.telemetry.path_rules import API_PREFIX

_METHODS = ("GET", "HEAD")
_INDEX = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ferstream</title></head><body><h1>ferstream</h1><p>{title}</p><dl>
<dt><a href="/metrics">/metrics</a></dt><dd>numbers for Prometheus</dd>
<dt><a href="/healthz">/healthz</a></dt><dd>the process runs and every stage makes progress</dd>
<dt><a href="/readyz">/readyz</a></dt><dd>models, cameras, broker and outbox are in order</dd>
</dl></body></html>
"""

ReadReport = Callable[[], Report]


def build_app(
    *, registry: CollectorRegistry, health: ReadReport, ready: ReadReport, title: str, routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """Make the application with the four pages; it does no access checks (see ``Guard``).

    Args:
        registry: The metrics of ``/metrics``.
        health: Called by ``/healthz``; a report that is not ok is answered with 503.
        ready: Called by ``/readyz``, in the same way.
        title: One line on the front page; escaped here.
        routes: More pages; one with the path of an own page takes its place.
    """

    async def index(_: Request) -> Response:
        return HTMLResponse(_INDEX.format(title=html.escape(title)))

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    pages = {"/": index, "/metrics": metrics, "/healthz": _report_page(health), "/readyz": _report_page(ready)}
    own = (Route(path, page, methods=_METHODS) for path, page in pages.items())
    return Starlette(routes=[*routes, *own], exception_handlers={HTTPException: _http_error, Exception: _internal_error})


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer an error of a page: below ``/api/`` as JSON."""
    assert isinstance(error, HTTPException)
    if request.scope["path"].startswith(API_PREFIX):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)


async def _internal_error(request: Request, _: Exception) -> Response:
    """Answer a fault of a page; its text goes to the log only."""
    return await _http_error(request, HTTPException(500))


def _report_page(read: ReadReport) -> Callable[[Request], Awaitable[Response]]:
    async def page(_: Request) -> Response:
        report = read()
        body = json.dumps(report.as_json(), indent=1) + "\n"
        return Response(body, 200 if report.ok else 503, media_type="application/json")

    return page
