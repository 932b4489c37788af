"""``/login`` and ``/logout``: a form takes the token and gives the browser a session. Runs on the event loop of the HTTP server.

The page works without scripts; its style is the file that the other pages use.
"""

from __future__ import annotations

import html
from enum import Enum
from typing import Protocol
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ferstream.web.body import BodyLimits, read_body

LOGIN, LOGOUT = "/login", "/logout"
LOGIN_STYLE = "/static/page.css"
MAX_FORM_BYTES = 4096
_FORM_TYPE = "application/x-www-form-urlencoded"
_LIMITS = BodyLimits(max_bytes=MAX_FORM_BYTES, window_s=10.0, least_bytes=1, may_take_long=False)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Log in - ferstream</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/page.css">
</head>
<body class="login">
<main>
<h1>ferstream</h1>
<p>{node}</p>
<form method="post" action="/login">
{alert}<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus{described}>
<p id="hint">The content of the file that <code>http.token_file</code> names on this node.</p>
<button type="submit">Log in</button>
</form>
</main>
</body>
</html>
"""


class LoginResult(Enum):
    """Result of an attempt to log in."""

    OK = "ok"
    WRONG = "wrong"
    TOO_MANY = "too many"


class Logins(Protocol):
    """Checks tokens and keeps sessions."""

    @property
    def required(self) -> bool:
        """Whether there is a token at all."""
        ...

    def log_in(self, token: str, peer: str, *, secure: bool) -> tuple[LoginResult, str]:
        """Check a token; return the result, and for a right one the value of ``Set-Cookie``."""
        ...

    def log_out(self, cookies: str | None, *, secure: bool) -> str:
        """End the session of a ``Cookie`` header; return the value of ``Set-Cookie`` that removes the cookie."""
        ...

    def is_logged_in(self, cookies: str | None) -> bool:
        """Return whether a ``Cookie`` header carries an open session."""
        ...


def login_routes(logins: Logins, *, node: str) -> list[BaseRoute]:
    """Return the routes of the login.

    Args:
        logins: Checks tokens and keeps sessions.
        node: Name of the node, shown above the form.
    """

    async def show(request: Request) -> Response:
        if not logins.required or logins.is_logged_in(request.headers.get("cookie")):
            return RedirectResponse("/", 303)
        return _form(node)

    async def log_in(request: Request) -> Response:
        if not logins.required:
            return RedirectResponse("/", 303)
        peer = request.client.host if request.client else ""
        result, cookie = logins.log_in(await _token_of(request), peer, secure=_uses_tls(request))
        if result is LoginResult.TOO_MANY:
            return _form(node, 429, "Too many wrong tokens. Wait a minute, then try again.", {"retry-after": "60"})
        if result is LoginResult.WRONG:
            return _form(node, 403, "This is not the token of this node.")
        return RedirectResponse("/", 303, {"set-cookie": cookie})

    async def log_out(request: Request) -> Response:
        cookie = logins.log_out(request.headers.get("cookie"), secure=_uses_tls(request))
        return RedirectResponse(LOGIN if logins.required else "/", 303, {"set-cookie": cookie})

    return [
        Route(LOGIN, show, methods=["GET"]),
        Route(LOGIN, log_in, methods=["POST"]),
        Route(LOGOUT, log_out, methods=["POST"]),
    ]


def _form(node: str, status: int = 200, problem: str = "", headers: dict[str, str] | None = None) -> Response:
    alert = f'<p role="alert" id="problem">{html.escape(problem)}</p>\n' if problem else ""
    described = ' aria-describedby="problem hint" aria-invalid="true"' if problem else ' aria-describedby="hint"'
    return HTMLResponse(_PAGE.format(node=html.escape(node), alert=alert, described=described), status, headers)


async def _token_of(request: Request) -> str:
    """Return the field ``token`` of a form; empty for any other body."""
    body = bytearray()
    await read_body(request, body.extend, _LIMITS)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        return ""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=4)
    except ValueError:
        return ""
    return fields.get("token", [""])[0].strip()


def _uses_tls(request: Request) -> bool:
    """Whether the browser itself uses TLS, in front of a proxy too: it says so in ``Origin``, which no other site can change."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
