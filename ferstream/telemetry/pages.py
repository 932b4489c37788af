"""The web application behind the server: four pages, read only. Runs on the server's event loop.

Handlers are coroutines that never wait, so starlette starts no worker threads of its own.
"""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferstream.telemetry.access import RateLimit, authorised, local_name
from ferstream.telemetry.health import Report

_MAX_BODY_BYTES = 1024
_FAILED_LOGIN_COST = 10.0
_SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_INDEX = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ferstream</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1.5rem }}
h1 {{ font-weight: 500; font-size: 1.5rem; margin: 0 }} p {{ margin: .25rem 0 2rem; opacity: .75 }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.5rem; margin: 0 }} dd {{ margin: 0; opacity: .75 }}
</style></head><body><h1>ferstream</h1><p>{title}</p><dl>
<dt><a href="/metrics">/metrics</a></dt><dd>numbers for Prometheus</dd>
<dt><a href="/healthz">/healthz</a></dt><dd>the process lives and every stage moves</dd>
<dt><a href="/readyz">/readyz</a></dt><dd>models, cameras, broker and outbox are in order</dd>
</dl></body></html>
"""

Ask = Callable[[], Report]


def build_app(*, registry: CollectorRegistry, health: Ask, ready: Ask, title: str) -> Starlette:
    """The four pages; ``Guard`` goes around them."""

    async def index(_: Request) -> Response:
        return HTMLResponse(_INDEX.format(title=html.escape(title)))

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    def page(ask: Ask) -> Callable[[Request], Awaitable[Response]]:
        async def show(_: Request) -> Response:
            report = ask()
            body = json.dumps(report.as_json(), indent=1) + "\n"
            return Response(body, 200 if report.ok else 503, media_type="application/json")

        return show

    return Starlette(
        routes=[
            Route("/", index, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
            Route("/healthz", page(health), methods=["GET"]),
            Route("/readyz", page(ready), methods=["GET"]),
        ]
    )


class Guard:
    """Checks every request before a page sees it: rate, host name, token, body; adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, *, token: str | None, loopback: bool, limit: RateLimit) -> None:
        self._app, self._token, self._loopback, self._limit = app, token, loopback, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP is refused by leaving."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_SECURITY_HEADERS]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        peer = request.client.host if request.client else ""
        if not self._limit.allow(peer):
            return PlainTextResponse("too many requests\n", 429, {"retry-after": "1"})
        if self._loopback and self._token is None and not local_name(request.headers.get("host")):
            return PlainTextResponse("this address answers to localhost only\n", 421)
        if not authorised(request.headers.get("authorization"), self._token):
            self._limit.allow(peer, _FAILED_LOGIN_COST)
            return PlainTextResponse("a bearer token is needed\n", 401, {"www-authenticate": 'Bearer realm="ferstream"'})
        if _has_body(request):
            return PlainTextResponse("no request body is accepted\n", 413, {"connection": "close"})
        return None


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    too_long = not length.isdecimal() or len(length) > 9 or int(length) > _MAX_BODY_BYTES
    return too_long or "transfer-encoding" in request.headers
