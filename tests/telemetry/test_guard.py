"""Checks of a request before a page sees it, on a real socket: token, host name, method, sizes, rate."""

from __future__ import annotations

import contextlib
import socket

import pytest

from ferstream.telemetry.server import TelemetryServer
from tests.support.telemetry import TOKEN, ask


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/nothing"])
def test_every_answer_has_the_security_headers_and_no_banner(server: TelemetryServer, path: str) -> None:
    _, headers, _ = ask(server, path)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["permissions-policy"].startswith("camera=(self), microphone=()")
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/metrics", 405), ("DELETE", "/", 405), ("GET", "/../etc/passwd", 404), ("GET", "/docs", 404)]
)
def test_other_paths_and_methods_are_refused(server: TelemetryServer, method: str, path: str, status: int) -> None:
    assert ask(server, path, method=method)[0] == status


def test_a_request_body_is_refused_unread(server: TelemetryServer) -> None:
    assert ask(server, "/metrics", method="POST", body=b"x" * 100_000)[0] == 413
    assert ask(server, "/metrics", method="POST", headers={"transfer-encoding": "chunked"}, body=b"0\r\n\r\n")[0] == 413
    assert ask(server, "/metrics", headers={"content-length": "9" * 30})[0] in (400, 413)


@pytest.mark.parametrize("host", ["evil.example", "localhost:x@evil.example", "[::1]x"])
def test_another_host_name_is_refused_on_loopback(server: TelemetryServer, host: str) -> None:
    assert ask(server, "/metrics", headers={"host": host})[0] == 421


@pytest.mark.parametrize(("size", "statuses"), [(15_000, {200}), (17_000, {431, 400}), (60_000, {431, 400})])
def test_headers_over_16_kb_are_refused_also_when_they_arrive_at_once(server: TelemetryServer, size: int, statuses: set[int]) -> None:
    # 431 by the guard; 400 by h11, when the system hands the headers over in two parts.
    assert ask(server, "/healthz", headers={"x-padding": "x" * size})[0] in statuses


def test_headers_that_arrive_slowly_are_refused_at_16_kb(server: TelemetryServer) -> None:
    with socket.create_connection((server.address.host, server.address.port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Padding: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                client.sendall(b"x" * 1024)
        with contextlib.suppress(ConnectionError):
            assert client.recv(12) in (b"HTTP/1.1 400", b"")


def test_head_is_answered_without_a_body(server: TelemetryServer) -> None:
    status, headers, body = ask(server, "/metrics", method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 1000


def test_other_methods_are_refused_with_the_allowed_ones(server: TelemetryServer) -> None:
    status, headers, _ = ask(server, "/metrics", method="POST")
    assert (status, set(headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong-wrong-wrong-wrong"}, {"authorization": f"Basic {TOKEN}"}])
def test_without_the_token_every_page_is_401(guarded: TelemetryServer, header: dict[str, str]) -> None:
    for path in ("/", "/metrics", "/healthz"):
        status, headers, body = ask(guarded, path, headers=header)
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="ferstream"')
        assert "ferstream_" not in body
        assert TOKEN not in body


def test_with_the_token_every_page_is_served(guarded: TelemetryServer) -> None:
    for path in ("/", "/metrics", "/healthz", "/readyz"):
        assert ask(guarded, path, headers={"authorization": f"Bearer {TOKEN}"})[0] == 200


def test_guessing_tokens_is_slowed_down(guarded: TelemetryServer) -> None:
    answers = [ask(guarded, "/metrics", headers={"authorization": f"Bearer {i}"})[0] for i in range(8)]
    assert answers[0] == 401
    assert answers[-1] == 429


# -- other web sites -------------------------------------------------------------------------------


def test_a_page_may_load_only_what_is_its_own(server: TelemetryServer) -> None:
    policy = ask(server, "/")[1]["content-security-policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert "script-src" not in ask(server, "/metrics")[1]["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://localhost:3000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost"}, 403),  # another port
        ({"sec-fetch-site": "cross-site", "origin": "http://{host}"}, 403),
        ({"sec-fetch-site": "same-origin"}, 405),
        ({"sec-fetch-site": "same-origin", "origin": "https://proxy.example"}, 405),  # a proxy that changes Host
        ({"origin": "http://{host}"}, 405),
        ({}, 405),  # no browser
    ],
)
def test_what_another_site_sends_is_refused(server: TelemetryServer, headers: dict[str, str], status: int) -> None:
    headers = {name: value.format(host=server.address) for name, value in headers.items()}
    assert ask(server, "/metrics", method="POST", headers=headers)[0] == status


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),  # a link
        ("/", {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, 200),
        ("/metrics", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),  # a picture or script of another site
        ("/metrics", {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200),
        ("/api/1/x", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
        ("/api/1/x", {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 404),
    ],
)
def test_another_site_may_link_to_pages_and_read_nothing(server: TelemetryServer, path: str, headers: dict[str, str], status: int) -> None:
    assert ask(server, path, headers=headers)[0] == status


@pytest.mark.parametrize("host", ["192.168.1.5:9108", "[fe80::1]", "localhost", "10.0.0.1"])
def test_with_a_token_every_address_is_answered(guarded: TelemetryServer, host: str) -> None:
    assert ask(guarded, "/healthz", headers={"host": host})[0] == 401


def test_with_a_token_another_host_name_is_refused_unless_the_token_is_in_the_header(guarded: TelemetryServer) -> None:
    status, _, body = ask(guarded, "/healthz", headers={"host": "evil.example"})
    assert (status, "http.allowed_hosts" in body) == (421, True)
    assert ask(guarded, "/healthz", headers={"host": "prometheus-knows-it.example", "authorization": f"Bearer {TOKEN}"})[0] == 200


# -- answers for programs and for people -----------------------------------------------------------


def test_refusals_and_errors_below_api_are_json(guarded: TelemetryServer, server: TelemetryServer) -> None:
    status, headers, body = ask(guarded, "/api/1/state")
    assert (status, headers["content-type"], body) == (401, "application/json", '{"error":"a bearer token is needed"}')
    assert ask(server, "/api/1/nothing")[::2] == (404, '{"error":"Not Found"}')


def test_several_viewers_behind_one_address_load_the_page_at_once(server: TelemetryServer) -> None:
    assert {ask(server, "/healthz")[0] for _ in range(20 * 15)} == {200}
