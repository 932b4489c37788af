"""Checks every HTTP request before a page sees it. Runs on the event loop of the telemetry server."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferstream.telemetry.access import RateLimit, authorised, is_local_host_header

MAX_HEADER_BYTES = 16 * 1024
"""Longest request line and headers together."""
MAX_BODY_BYTES = 1024
"""Longest request body; the pages read none, but some clients send an empty or tiny one."""
_FAILED_LOGIN_COST = 20.0
"""A wrong token costs as much of the rate limit as this many requests."""
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


class Guard:
    """ASGI middleware: rate limit, host name, token and sizes of a request; security headers on every answer.

    Args:
        app: The application behind it.
        token: Bearer token that requests must carry; None for none.
        local_names_only: Whether ``Host`` must name this machine (loopback without a token).
        limit: Rate limit per peer address.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, local_names_only: bool, limit: RateLimit) -> None:
        self._app, self._token, self._local_names_only, self._limit = app, token, local_names_only, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; scopes other than ``http`` are not served."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_SECURITY_HEADERS]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is refused, None for one that may pass."""
        peer = request.client.host if request.client else ""
        if not self._limit.allow(peer):
            return PlainTextResponse("too many requests\n", 429, {"retry-after": "1"})
        if _header_bytes(request) > MAX_HEADER_BYTES:
            return PlainTextResponse("the request headers are too large\n", 431, {"connection": "close"})
        if self._local_names_only and not is_local_host_header(request.headers.get("host")):
            return PlainTextResponse("this address answers to localhost only\n", 421)
        if not authorised(request.headers.get("authorization"), self._token):
            self._limit.allow(peer, _FAILED_LOGIN_COST)
            return PlainTextResponse("a bearer token is needed\n", 401, {"www-authenticate": 'Bearer realm="ferstream"'})
        if _has_body(request):
            return PlainTextResponse("no request body is accepted\n", 413, {"connection": "close"})
        return None


def _header_bytes(request: Request) -> int:
    """Size of the request line and the headers; h11's own limit holds only while they are incomplete."""
    target = len(request.scope.get("raw_path", b"")) + len(request.scope.get("query_string", b""))
    return target + sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.raw)


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    too_long = not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY_BYTES
    return too_long or "transfer-encoding" in request.headers
