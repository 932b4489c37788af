"""The real server on a real socket: pages, refusals, its start and its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.errors import AddressInUseError, ConfigError
from ferstream.runtime.counters import Counters
from ferstream.telemetry.collector import BuildInfo, Readings, build_registry
from ferstream.telemetry.health import Check, Report
from ferstream.telemetry.server import TelemetryServer

TOKEN = "correct-horse-battery-staple"
FUZZED_REQUESTS = 5000 if os.environ.get("FERSTREAM_FAULTS") == "full" else 150
FINE = Report((Check("stage:capture", True, "last beat 0.1 s ago"),))
STUCK = Report((Check("stage:capture", True), Check("stage:inference", False, "last beat 31.0 s ago")))


def server_of(
    counters: Counters,
    *,
    listen: str = "127.0.0.1:0",
    token: str | None = None,
    health: Callable[[], Report] = lambda: FINE,
    ready: Callable[[], Report] = lambda: FINE,
    connection_lifetime_s: float = 30.0,
) -> TelemetryServer:
    readings = Readings(snapshot=counters.snapshot, cameras=lambda: ["door"], build=lambda: BuildInfo("1", "m", "b"))
    return TelemetryServer(
        listen=listen,
        registry=build_registry(readings),
        health=health,
        ready=ready,
        token=token,
        title="<edge-1>",
        connection_lifetime_s=connection_lifetime_s,
    )


@pytest.fixture
def server(counters: Counters) -> Iterator[TelemetryServer]:
    server = server_of(counters)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guarded(counters: Counters) -> Iterator[TelemetryServer]:
    server = server_of(counters, token=TOKEN)
    server.start()
    yield server
    server.stop()


def ask(
    server: TelemetryServer, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(server.address.host, server.address.port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def test_metrics_are_prometheus_text(server: TelemetryServer) -> None:
    status, headers, body = ask(server, "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    assert 'ferstream_frames_total{camera="door",stage="capture"} 12.0' in body


def test_metrics_are_openmetrics_on_request(server: TelemetryServer) -> None:
    _, headers, body = ask(server, "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_a_stuck_stage_makes_health_503_and_is_named(counters: Counters) -> None:
    server = server_of(counters, health=lambda: STUCK)
    server.start()
    try:
        status, headers, body = ask(server, "/healthz")
    finally:
        server.stop()
    assert (status, headers["content-type"]) == (503, "application/json")
    answer = json.loads(body)
    assert answer["failed"] == ["stage:inference"]
    assert answer["checks"]["stage:inference"] == {"ok": False, "detail": "last beat 31.0 s ago"}


def test_readiness_is_asked_on_its_own(counters: Counters) -> None:
    server = server_of(counters, ready=lambda: Report((Check("broker", False, "refused"),)))
    server.start()
    try:
        assert ask(server, "/readyz")[0] == 503
        assert ask(server, "/healthz")[0] == 200
    finally:
        server.stop()


def test_the_front_page_links_the_others_and_escapes_its_title(server: TelemetryServer) -> None:
    status, headers, body = ask(server, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert all(f'href="{path}"' in body for path in ("/metrics", "/healthz", "/readyz"))
    assert "&lt;edge-1&gt;" in body


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
def test_nothing_else_is_served(server: TelemetryServer, method: str, path: str, status: int) -> None:
    assert ask(server, path, method=method)[0] == status


def test_a_body_is_refused_unread(server: TelemetryServer) -> None:
    assert ask(server, "/metrics", method="POST", body=b"x" * 100_000)[0] == 413
    assert ask(server, "/metrics", method="POST", headers={"transfer-encoding": "chunked"}, body=b"0\r\n\r\n")[0] == 413
    assert ask(server, "/metrics", headers={"content-length": "9" * 30})[0] in (400, 413)


def test_another_host_name_is_refused_on_loopback(server: TelemetryServer) -> None:
    assert ask(server, "/metrics", headers={"host": "evil.example"})[0] == 421


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong-wrong-wrong-wrong"}, {"authorization": f"Basic {TOKEN}"}])
def test_without_the_token_nothing_is_told(guarded: TelemetryServer, header: dict[str, str]) -> None:
    for path in ("/", "/metrics", "/healthz"):
        status, headers, body = ask(guarded, path, headers=header)
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="ferstream"')
        assert "ferstream_" not in body
        assert TOKEN not in body


def test_with_the_token_everything_is(guarded: TelemetryServer) -> None:
    for path in ("/", "/metrics", "/healthz", "/readyz"):
        assert ask(guarded, path, headers={"authorization": f"Bearer {TOKEN}"})[0] == 200


def test_guessing_tokens_is_slowed_down(guarded: TelemetryServer) -> None:
    answers = [ask(guarded, "/metrics", headers={"authorization": f"Bearer {i}"})[0] for i in range(8)]
    assert answers[0] == 401
    assert answers[-1] == 429


def test_an_open_address_without_a_token_is_refused_before_anything_listens(counters: Counters) -> None:
    with pytest.raises(ConfigError, match=r"http\.token_file"):
        server_of(counters, listen="0.0.0.0:0")


def test_an_open_address_with_a_token_answers_under_any_name(counters: Counters) -> None:
    server = server_of(counters, listen="0.0.0.0:0", token=TOKEN)
    server.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=10)
        connection.request("GET", "/healthz", headers={"host": "edge-1.example", "authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.stop()


def test_a_taken_port_is_named_with_its_key(server: TelemetryServer, counters: Counters) -> None:
    second = server_of(counters, listen=str(server.address))
    with pytest.raises(AddressInUseError, match=rf"http\.listen.*port {server.address.port} is in use"):
        second.start()
    assert not second.alive
    second.stop()


def test_an_address_of_another_machine_is_a_config_error(counters: Counters) -> None:
    with pytest.raises(ConfigError, match=r"http\.listen = 192\.0\.2\.1"):
        server_of(counters, listen="192.0.2.1:0", token=TOKEN).start()


def test_there_is_no_address_before_start(counters: Counters) -> None:
    with pytest.raises(ConfigError, match="before start"):
        _ = server_of(counters).address


def test_after_stop_the_thread_is_dead_and_the_port_is_free(counters: Counters) -> None:
    before = set(threading.enumerate())
    server = server_of(counters)
    server.start()
    assert ask(server, "/healthz")[0] == 200
    address = server.address
    server.stop()
    assert not server.alive
    assert set(threading.enumerate()) == before
    again = server_of(counters, listen=str(address))
    again.start()
    again.stop()
    again.stop()


def test_stop_does_not_wait_for_idle_or_dawdling_clients(server: TelemetryServer) -> None:
    clients = [socket.create_connection((server.address.host, server.address.port), timeout=10) for _ in range(3)]
    clients[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert clients[0].recv(15) == b"HTTP/1.1 200 OK"
    clients[1].sendall(b"GET /healthz HTTP/1.1\r\nHo")
    server.stop(timeout_s=10)
    assert not server.alive
    for client in clients:
        client.close()


def test_a_client_that_never_finishes_its_request_is_cut(counters: Counters) -> None:
    server = server_of(counters, connection_lifetime_s=0.2)
    server.start()
    try:
        with socket.create_connection((server.address.host, server.address.port), timeout=10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(100) == b""
        assert ask(server, "/healthz")[0] == 200
    finally:
        server.stop()


def test_one_peer_cannot_hold_all_connections(server: TelemetryServer) -> None:
    target = (server.address.host, server.address.port)
    dawdlers = [socket.create_connection(target, timeout=10) for _ in range(40)]
    for client in dawdlers:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(b"GET")
    # Another peer: on Linux the whole of 127.0.0.0/8 is this machine.
    with socket.create_connection(target, timeout=10, source_address=("127.0.0.2", 0)) as other:
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert other.recv(15) == b"HTTP/1.1 200 OK"
    cut = 0
    for client in dawdlers[16:]:
        client.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(10) == b""
        cut += 1
    assert cut == 24
    for client in dawdlers:
        client.close()


def test_a_page_that_raises_is_a_500_and_the_server_lives(counters: Counters) -> None:
    def broken() -> Report:
        raise RuntimeError("hunter2")

    server = server_of(counters, health=broken)
    server.start()
    try:
        status, _, body = ask(server, "/healthz")
        assert status == 500
        assert "hunter2" not in body
        assert ask(server, "/readyz")[0] == 200
    finally:
        server.stop()


@settings(max_examples=FUZZED_REQUESTS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.binary(max_size=300),
    prefix=st.sampled_from([b"", b"GET ", b"GET / HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"]),
)
def test_fuzzed_requests_do_not_end_it(server: TelemetryServer, noise: bytes, prefix: bytes) -> None:
    with socket.create_connection((server.address.host, server.address.port), timeout=10) as client:
        client.sendall(prefix + noise + b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        client.recv(4096)
    assert server.alive


def test_importing_the_server_does_not_import_the_web_framework() -> None:
    code = "import sys, ferstream.telemetry.server; print({'starlette', 'uvicorn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
