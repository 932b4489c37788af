"""The login over HTTP: a form takes the token and gives the browser a session."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from ferstream.app.page_server import PUBLIC_PATHS, PageLogins
from ferstream.runtime.counters import Counters
from ferstream.telemetry.access_policy import access_to
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.readings import BuildInfo, Readings
from ferstream.telemetry.server import TelemetryServer
from ferstream.web.login import login_routes
from tests.support.telemetry import FINE, TOKEN, ask

Answer = tuple[int, dict[str, str], str]
FORM = "application/x-www-form-urlencoded"


async def endless(_: Request) -> StreamingResponse:
    """An answer without an end, such as a stream of events."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            await asyncio.sleep(0.01)

    return StreamingResponse(pieces())


@contextmanager
def serving(token: str | None = TOKEN) -> Iterator[TelemetryServer]:
    access = access_to("127.0.0.1:0", token=token, names=("edge-1",), paths=PUBLIC_PATHS)
    readings = Readings(snapshot=Counters().snapshot, cameras=list, build=lambda: BuildInfo("1", "m", "b"))
    server = TelemetryServer(
        listen="127.0.0.1:0",
        registry=build_registry(readings),
        health=lambda: FINE,
        ready=lambda: FINE,
        access=access,
        routes=[*login_routes(PageLogins(access.authenticator), node="<edge-1>"), Route("/endless", endless)],
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def page() -> Iterator[TelemetryServer]:
    with serving() as server:
        yield server


def log_in(server: TelemetryServer, token: str = TOKEN, **headers: str) -> Answer:
    return ask(server, "/login", method="POST", body=f"token={quote(token)}".encode(), headers={"content-type": FORM} | headers)


def cookie_of(answer: Answer) -> str:
    return answer[1]["set-cookie"].partition(";")[0]


def test_a_browser_without_a_session_is_sent_to_the_form(page: TelemetryServer) -> None:
    status, headers, _ = ask(page, "/")
    assert (status, headers["location"]) == (303, "/login")
    assert ask(page, "/metrics", headers={"accept": "text/html,*/*"})[0] == 303
    assert ask(page, "/metrics")[0] == 401
    assert ask(page, "/api/1/state", headers={"accept": "text/html"})[0] == 401


def test_the_form_needs_no_script_and_escapes_the_node(page: TelemetryServer) -> None:
    status, headers, body = ask(page, "/login")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "&lt;edge-1&gt;" in body
    assert '<form method="post" action="/login">' in body
    assert "<script" not in body
    assert "style=" not in body
    assert "<style" not in body


def test_the_right_token_gives_a_session_for_every_page(page: TelemetryServer) -> None:
    answer = log_in(page)
    assert (answer[0], answer[1]["location"]) == (303, "/")
    for path in ("/", "/metrics", "/healthz"):
        assert ask(page, path, headers={"cookie": cookie_of(answer)})[0] == 200
    assert ask(page, "/login", headers={"cookie": cookie_of(answer)})[1]["location"] == "/"


def test_the_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(page: TelemetryServer) -> None:
    assert log_in(page)[1]["set-cookie"].partition("; ")[2] == "Max-Age=43200; Path=/; HttpOnly; SameSite=Strict"


def test_the_cookie_is_secure_where_the_browser_uses_tls(page: TelemetryServer) -> None:
    headers = {"origin": "https://faces.example.org", "sec-fetch-site": "same-origin"}
    assert log_in(page, **headers)[1]["set-cookie"].endswith("; SameSite=Strict; Secure")
    assert not log_in(page, **{"x-forwarded-proto": "https"})[1]["set-cookie"].endswith("Secure")


def test_a_wrong_token_shows_the_form_again_without_a_cookie(page: TelemetryServer) -> None:
    status, headers, body = log_in(page, "wrong-wrong-wrong")
    assert status == 403
    assert 'role="alert"' in body
    assert "wrong-wrong" not in body
    assert "set-cookie" not in headers


def test_guessing_is_slowed_down_for_the_form_and_the_header_together(page: TelemetryServer) -> None:
    session = cookie_of(log_in(page))
    answers = [log_in(page, f"guess-{number}")[0] for number in range(3)]
    answers += [ask(page, "/metrics", headers={"authorization": f"Bearer {number}"})[0] for number in range(3)]
    assert answers == [403, 403, 403, 401, 401, 429]
    status, headers, body = log_in(page)
    assert (status, headers["retry-after"]) == (429, "60")
    assert "Too many wrong tokens" in body
    assert ask(page, "/", headers={"cookie": session})[0] == 200, "who is logged in goes on"


def test_a_logout_ends_the_session(page: TelemetryServer) -> None:
    cookie = cookie_of(log_in(page))
    status, headers, _ = ask(page, "/logout", method="POST", headers={"cookie": cookie})
    assert (status, headers["location"]) == (303, "/login")
    assert "Max-Age=0" in headers["set-cookie"]
    assert ask(page, "/", headers={"cookie": cookie})[0] == 303


@pytest.mark.parametrize("path", ["/login%3f/../metrics", "/login%23x", "/login/../metrics", "//login", "/login/", "/static/page.css%3f"])
def test_no_form_of_the_public_paths_opens_another_page(page: TelemetryServer, path: str) -> None:
    status, _, body = ask(page, path)
    assert status in {303, 401, 404}
    assert "ferstream_" not in body


def test_a_logout_ends_answers_that_still_run(page: TelemetryServer) -> None:
    cookie = cookie_of(log_in(page))
    connection = http.client.HTTPConnection(page.address.host, page.address.port, timeout=60)
    connection.request("GET", "/endless", headers={"cookie": cookie})
    answer = connection.getresponse()
    assert answer.read(4) == b"more"
    assert ask(page, "/logout", method="POST", headers={"cookie": cookie})[0] == 303
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()


def test_a_restart_ends_all_sessions(page: TelemetryServer) -> None:
    cookie = cookie_of(log_in(page))
    with serving() as again:
        assert ask(again, "/", headers={"cookie": cookie})[0] == 303


def test_another_site_can_neither_log_in_nor_out_nor_use_a_session(page: TelemetryServer) -> None:
    cookie = cookie_of(log_in(page))
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert log_in(page, **headers)[0] == 403
        assert ask(page, "/logout", method="POST", headers={"cookie": cookie} | headers)[0] == 403
    assert ask(page, "/", headers={"cookie": cookie})[0] == 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (f"token={TOKEN}".encode(), "text/plain"),
        (b"other=1", FORM),
        (b"\xff\xfe", FORM),
        (b"&" * 100, FORM),
        (b"token=" + b"x" * 2000, FORM),
    ],
)
def test_any_other_body_is_a_wrong_token(page: TelemetryServer, body: bytes, kind: str) -> None:
    assert ask(page, "/login", method="POST", body=body, headers={"content-type": kind})[0] == 403


def test_a_long_form_is_refused(page: TelemetryServer) -> None:
    assert ask(page, "/login", method="POST", body=b"x" * 5000)[0] == 413


def test_another_host_name_sees_not_even_the_form(page: TelemetryServer) -> None:
    assert ask(page, "/login", headers={"host": "evil.example"})[0] == 421
    assert ask(page, "/login", headers={"host": "edge-1.local"})[0] == 200


def test_without_a_token_there_is_no_login() -> None:
    with serving(token=None) as server:
        assert ask(server, "/")[0] == 200
        assert ask(server, "/login")[1]["location"] == "/"
        assert log_in(server)[1]["location"] == "/"


def test_two_daemons_of_one_machine_have_cookies_of_their_own() -> None:
    first = access_to("127.0.0.1:9108", token=TOKEN, names=("edge-1",))
    second = access_to("127.0.0.1:9109", token=TOKEN, names=("edge-1",))
    assert first.authenticator.sessions.cookie != second.authenticator.sessions.cookie
