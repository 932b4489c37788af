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
