"""A real HTTP server in a thread that keeps what it gets and answers as a test says."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.support.runners import PATIENCE_S


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in the body."""
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return str(self.event["subject"])

    @property
    def seq(self) -> int:
        """Number of the event."""
        return int(self.event["data"]["seq"])


@dataclass(frozen=True)
class Answer:
    """A response; status 0 = close the connection without one."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class WebhookServer:
    """Listens on loopback; ``answer`` is called for every request, in a thread of its connection."""

    def __init__(self, answer: Callable[[Request], Answer] = lambda _: Answer(), *, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0
        self.stopping = threading.Event()
        self.arrived = threading.Semaphore(0)
        self._tls = tls
        self._port = 0
        self._server: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.sockets: list[socket.socket] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is, with a secret path."""
        return f"{'https' if self._tls else 'http'}://localhost:{self._port}/hooks/S3CR3T-path?token=t0k3n-s3cr3t"

    @property
    def accepted(self) -> list[Request]:
        """All requests so far."""
        with self.lock:
            return self.requests[:]

    def wait_for_request(self) -> None:
        """Wait until one more request has arrived."""
        assert self.arrived.acquire(timeout=PATIENCE_S), "no request arrived"

    def __enter__(self) -> WebhookServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; on the same port as before."""
        self.stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), _handler(self), tls=self._tls)
        self._port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="webhook-server")
        self._thread.start()

    def stop(self) -> None:
        """End every connection and stop listening."""
        self.stopping.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join(PATIENCE_S)
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for connection in sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._server = self._thread = None


def _handler(outer: WebhookServer) -> type[http.server.BaseHTTPRequestHandler]:
    """A handler that records requests in a server and answers as it says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE_S

        def setup(self) -> None:
            with outer.lock:
                outer.connections += 1
                outer.sockets.append(self.request)
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(self.path, dict(self.headers.items()), body)
            with outer.lock:
                outer.requests.append(request)
            outer.arrived.release()
            answer = outer.answer(request)
            if not answer.status:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[http.server.BaseHTTPRequestHandler], *, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        super().__init__(address, handler)

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self._tls is not None:
            connection.settimeout(PATIENCE_S)
            connection = self._tls.wrap_socket(connection, server_side=True)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients go when they like
