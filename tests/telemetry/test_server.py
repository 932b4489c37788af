"""The telemetry server on a real socket: pages, start, stop, and its limits on connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.errors import AddressInUseError, ConfigError
from ferstream.runtime.counters import Counters
from ferstream.telemetry.connections import ConnectionLimits
from ferstream.telemetry.health import Check, Report
from ferstream.telemetry.server import TelemetryServer
from tests.support.telemetry import TOKEN, ask, server_of

FUZZED_REQUESTS = 5000 if os.environ.get("FERSTREAM_FAULTS") == "full" else 150
STUCK = Report((Check("stage:capture", True), Check("stage:inference", False, "last beat 31.0 s ago")))


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


def test_readiness_is_independent_of_health(counters: Counters) -> None:
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


def test_stop_does_not_wait_for_idle_or_slow_clients(server: TelemetryServer) -> None:
    clients = [socket.create_connection((server.address.host, server.address.port), timeout=10) for _ in range(3)]
    clients[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert clients[0].recv(15) == b"HTTP/1.1 200 OK"
    clients[1].sendall(b"GET /healthz HTTP/1.1\r\nHo")
    server.stop(timeout_s=10)
    assert not server.alive
    for client in clients:
        client.close()


def test_a_client_that_never_finishes_its_request_is_cut(counters: Counters) -> None:
    server = server_of(counters, limits=ConnectionLimits(lifetime_s=0.2))
    server.start()
    try:
        with socket.create_connection((server.address.host, server.address.port), timeout=10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(100) == b""
        assert ask(server, "/healthz")[0] == 200
    finally:
        server.stop()


@pytest.fixture
def small_server(counters: Counters) -> Iterator[TelemetryServer]:
    """A server with few connections."""
    server = server_of(counters, limits=ConnectionLimits(total=64, per_peer=16))
    server.start()
    yield server
    server.stop()


def test_one_peer_cannot_hold_all_connections(small_server: TelemetryServer) -> None:
    server = small_server
    target = (server.address.host, server.address.port)
    dawdlers = [socket.create_connection(target, timeout=10) for _ in range(56)]
    for client in dawdlers:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(b"GET")
    # Another peer: on Linux the whole of 127.0.0.0/8 is this machine.
    with socket.create_connection(target, timeout=10, source_address=("127.0.0.2", 0)) as other:
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert other.recv(15) == b"HTTP/1.1 200 OK"
    cut = 0
    for client in dawdlers[:24]:  # the oldest
        client.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(10) == b""
        cut += 1
    assert cut == 24
    for client in dawdlers:
        client.close()


def test_half_requests_of_one_peer_do_not_shut_out_its_other_requests(small_server: TelemetryServer) -> None:
    server = small_server
    target = (server.address.host, server.address.port)
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(socket.create_connection(target, timeout=10)).sendall(b"GET /healthz HTTP/1.1\r\nHo")
        assert [ask(server, "/healthz")[0] for _ in range(3)] == [200, 200, 200]


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
def test_fuzzed_requests_do_not_end_the_server(server: TelemetryServer, noise: bytes, prefix: bytes) -> None:
    with socket.create_connection((server.address.host, server.address.port), timeout=10) as client:
        client.sendall(prefix + noise + b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        client.recv(4096)
    assert server.alive


def test_importing_the_server_does_not_import_the_web_framework() -> None:
    code = "import sys, ferstream.telemetry.server; print({'starlette', 'uvicorn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
