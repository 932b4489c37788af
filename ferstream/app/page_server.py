"""The HTTP server of a running daemon with everything it serves: metrics, the live page, uploads, the login. Main thread."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ferstream.app.commands import Commands
from ferstream.app.running import Running
from ferstream.app.status import access_of, telemetry_server
from ferstream.app.uploads import Uploads
from ferstream.app.web import page_routes
from ferstream.telemetry.access import Answer, Authenticator
from ferstream.telemetry.access_policy import Access
from ferstream.telemetry.health import Heartbeats
from ferstream.telemetry.path_rules import PathRule
from ferstream.telemetry.server import TelemetryServer
from ferstream.web.login import LOGIN, LOGIN_STYLE, MAX_FORM_BYTES, LoginResult, login_routes
from ferstream.web.page import LivePage
from ferstream.web.pages import static_routes

PUBLIC_PATHS = (PathRule(path=LOGIN, max_body_bytes=MAX_FORM_BYTES, public=True), PathRule(path=LOGIN_STYLE, public=True))
"""What is shown before the login."""


def page_server(running: Running, page: LivePage, *, heartbeats: Heartbeats, commands: Commands, stack: ExitStack) -> TelemetryServer:
    """Make the HTTP server with all its pages; it is not started.

    Args:
        running: The daemon.
        page: Its live page.
        heartbeats: Behind ``/healthz``.
        commands: Takes commands to switch cameras.
        stack: Gets what has to be closed after the server.

    Raises:
        ConfigError: The address is malformed, or open to the network without a token.
    """
    classifier = running.engine.models.classifier
    uploads = Uploads(lambda: running.settings, model=f"{classifier.name}/{classifier.version}")
    stack.callback(uploads.close)
    access = access_of(running.settings, (*PUBLIC_PATHS, *uploads.path_rules()))
    routes = all_routes(running, page, commands=commands, uploads=uploads, access=access)
    return telemetry_server(running, heartbeats=heartbeats, access=access, routes=routes)


def all_routes(running: Running, page: LivePage, *, commands: Commands, uploads: Uploads, access: Access) -> list[Any]:
    """Return Starlette's routes of everything that people and browsers use; docs/openapi.json lists those of the API.

    Args:
        running: The daemon.
        page: Its live page.
        commands: Takes commands to switch cameras.
        uploads: Analyses pictures and recordings.
        access: Checks logins.
    """
    return [
        *static_routes(),
        *page_routes(running, page, commands=commands, uploads=uploads.state),
        *uploads.routes(),
        *login_routes(PageLogins(access.authenticator), node=running.settings.node),
    ]


class PageLogins:
    """The login of the page, with the token and the sessions that the guard of the server checks.

    Args:
        authenticator: Checks both.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    @property
    def required(self) -> bool:
        """Whether there is a token at all."""
        return self._authenticator.required

    def log_in(self, token: str, peer: str, *, secure: bool) -> tuple[LoginResult, str]:
        """Check a token; return the result, and for a right one the value of ``Set-Cookie``."""
        answer = self._authenticator.check_token(token, peer)
        if answer is not Answer.ALLOWED:
            return LoginResult.TOO_MANY if answer is Answer.TOO_MANY else LoginResult.WRONG, ""
        sessions = self._authenticator.sessions
        return LoginResult.OK, sessions.set_cookie(sessions.open(), secure=secure)

    def log_out(self, cookies: str | None, *, secure: bool) -> str:
        """End the session of a ``Cookie`` header; return the value of ``Set-Cookie`` that removes the cookie."""
        self._authenticator.sessions.close(cookies)
        return self._authenticator.sessions.clear_cookie(secure=secure)

    def is_logged_in(self, cookies: str | None) -> bool:
        """Return whether a ``Cookie`` header carries an open session."""
        return self._authenticator.sessions.is_open(cookies)
