"""Checks every HTTP request before a page sees it. Runs on the event loop of the telemetry server."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferstream.telemetry.access import Answer, Authenticator, is_bearer
from ferstream.telemetry.access_policy import Access
from ferstream.telemetry.connections import CONNECTION
from ferstream.telemetry.path_rules import API_PREFIX, MAX_BODY_BYTES
from ferstream.telemetry.security_headers import with_security_headers

MAX_HEADER_BYTES = 16 * 1024
"""Longest request line and headers together."""
LOGIN_PATH = "/login"
"""Where a browser without a session is sent."""
_FOR_PROGRAMS = ("/metrics", "/healthz", "/readyz")
"""Pages that programs read: they get 401 instead of a login form."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_DIGITS = 15


class Guard:
    """ASGI middleware: rate limit, host name, login, origin and sizes of a request; security headers on every answer.

    Args:
        app: The application behind it.
        access: What is allowed.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._checks: tuple[Callable[[Request], Response | None], ...] = (
            self._too_many,
            self._too_large_headers,
            self._not_logged_in,
            self._from_another_site,
            self._too_large_body,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; scopes other than ``http`` are not served."""
        if scope["type"] != "http":
            return

        request = Request(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = with_security_headers(message.get("headers", ()))
            elif message.get("more_body") and not self._may_go_on(request):
                return
            await send(message)

        refusal = next((answer for check in self._checks if (answer := check(request)) is not None), None)
        if refusal is None:
            await self._app(scope, self._limited(receive, _path(request)), send_with_headers)
        else:
            await refusal(scope, receive, send_with_headers)

    def _may_go_on(self, request: Request) -> bool:
        """Whether a long answer still has a login. After a logout its connection is closed."""
        authenticator = self._access.authenticator
        if not authenticator.required or _has_bearer(request, authenticator) or self._access.paths.of(_path(request)).public:
            return True
        if authenticator.sessions.is_open(request.headers.get("cookie")):
            return True
        connection = request.scope.get(CONNECTION)
        if connection is not None:
            connection.extend(0.0)
        return False

    def _too_many(self, request: Request) -> Response | None:
        if self._access.limit.allow(_peer(request)):
            return None
        return _refusal(request, 429, "too many requests", {"retry-after": "1"})

    def _too_large_headers(self, request: Request) -> Response | None:
        if _header_bytes(request) <= MAX_HEADER_BYTES:
            return None
        return _refusal(request, 431, "the request headers are too large", {"connection": "close"})

    def _not_logged_in(self, request: Request) -> Response | None:
        """Check the token, the host name and the session. A request with the token in a header may use any host name."""
        authenticator, path = self._access.authenticator, _path(request)
        answer = authenticator.check_header(request.headers.get("authorization"), _peer(request))
        if answer is Answer.TOO_MANY:
            return _refusal(request, 429, "too many wrong tokens; wait a minute", {"retry-after": "60"})
        if answer is Answer.WRONG:
            return _unauthorised(request)
        if answer is Answer.ALLOWED and authenticator.required:
            return None
        if not self._access.hosts.allows(request.headers.get("host")):
            return _refusal(request, 421, "the pages are not known under this host name; add it to http.allowed_hosts")
        if answer is Answer.ALLOWED or self._access.paths.of(path).public:
            return None
        if authenticator.sessions.is_open(request.headers.get("cookie")):
            return None
        has_form = self._access.paths.of(LOGIN_PATH).public
        return RedirectResponse(LOGIN_PATH, 303) if has_form and _is_for_people(request) else _unauthorised(request)

    def _from_another_site(self, request: Request) -> Response | None:
        """Refuse what a web page of somebody else makes a browser send."""
        if _has_bearer(request, self._access.authenticator) or _is_from_this_site(request):
            return None
        return _refusal(request, 403, "the request comes from another web site", {"connection": "close"})

    def _too_large_body(self, request: Request) -> Response | None:
        limit = self._access.paths.of(_path(request)).max_body_bytes
        length = _body_bytes(request)
        if (limit > MAX_BODY_BYTES) if length is None else (length <= limit):
            return None
        return _refusal(request, 413, _too_large(limit), {"connection": "close"})

    def _limited(self, receive: Receive, path: str) -> Receive:
        """Count the body of a request: one that is sent in chunks does not say its length before."""
        limit, received = self._access.paths.of(path).max_body_bytes, 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _too_large(limit), {"connection": "close"})
            return message

        return receive_limited


def _refusal(request: Request, status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    if _path(request).startswith(API_PREFIX):
        return JSONResponse({"error": reason}, status, headers)
    return PlainTextResponse(f"{reason}\n", status, headers)


def _unauthorised(request: Request) -> Response:
    return _refusal(request, 401, "a bearer token is needed", {"www-authenticate": 'Bearer realm="ferstream"'})


def _too_large(limit: int) -> str:
    return f"the request body is too large; at most {limit:,} bytes are accepted here"


def _path(request: Request) -> str:
    """Return the path as the router sees it; that of ``request.url`` ends at an encoded question mark."""
    path: str = request.scope["path"]
    return path


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _is_for_people(request: Request) -> bool:
    """Whether a browser wants to show the answer."""
    path = _path(request)
    if request.method not in {"GET", "HEAD"} or path.startswith(API_PREFIX):
        return False
    return path not in _FOR_PROGRAMS or "text/html" in request.headers.get("accept", "")


def _has_bearer(request: Request, authenticator: Authenticator) -> bool:
    """Whether the request carries the token in a header, which no other web site can know. It was checked before."""
    return authenticator.required and is_bearer(request.headers.get("authorization"))


def _is_from_this_site(request: Request) -> bool:
    """Whether a request was not caused by a web page of another site; reading is allowed to links of other sites.

    ``Sec-Fetch-Site`` is the browser's own word; it is sent over TLS and to this machine only. ``Origin`` is sent with
    everything that changes something. A program that is no browser sends neither, and is not caused by a web page.
    """
    site = request.headers.get("sec-fetch-site")
    if request.method in _READING:
        navigates = request.headers.get("sec-fetch-mode", "navigate") == "navigate" and not _path(request).startswith(API_PREFIX)
        return navigates or site in {None, "same-origin", "none"}
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or (origin != "null" and urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower())


def _header_bytes(request: Request) -> int:
    """Size of the request line and the headers; h11's own limit holds only while they are incomplete."""
    target = len(request.scope.get("raw_path", b"")) + len(request.scope.get("query_string", b""))
    return target + sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.raw)


def _body_bytes(request: Request) -> int | None:
    """Return the length that the headers promise; None for chunks, which pages that read a body count as they come."""
    if "transfer-encoding" in request.headers:
        return None
    length = request.headers.get("content-length", "0")
    return int(length) if length.isdecimal() and len(length) <= _MOST_DIGITS else 10**_MOST_DIGITS
