"""Servers with one fixed answer: a status, silence, garbage, or a file; on a free port of loopback."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.ports import free_port as free_port
from tests.support.runners import PATIENCE_S

Answer = Callable[[socket.socket, threading.Event], None]


def says(text: str | bytes) -> Answer:
    """Read a request, then send ``text`` and close."""
    content = text.encode() if isinstance(text, str) else text

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(content)

    return answer


class Transcript:
    """Answers every request with ``text`` and keeps the requests; ``{cseq}`` is replaced by the request's number."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.text = ""

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        """Serve one connection until the client closes it."""
        while request := connection.recv(65536).decode():
            self.text += request
            number = re.search(r"CSeq: (\d+)", request)
            connection.sendall(self._text.format(cseq=number.group(1) if number else 0).encode())


def says_nothing(connection: socket.socket, stop: threading.Event) -> None:
    """Accept, and send nothing."""
    stop.wait(PATIENCE_S)


def http_body_then_silence(kind: str, body: bytes) -> Answer:
    """Announce twice the length of ``body``, send it once, then send nothing."""

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {2 * len(body)}\r\n\r\n".encode() + body)
        stop.wait(PATIENCE_S)

    return answer


def rtsp_status(status: str) -> Answer:
    """Answer the first RTSP request with this status."""
    return says(f"RTSP/1.0 {status}\r\nCSeq: 1\r\n\r\n")


def http_status(status: str) -> Answer:
    """Answer with this status and no content."""
    return says(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def http_body(kind: str, body: bytes) -> Answer:
    """Answer with this content."""
    return says(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)


class Site:
    """Answers GET requests by path, one a connection, and keeps the requests; unknown paths are 404.

    Args:
        pages: Media type and content by path.
        ranges: Whether requests for ranges are answered.
    """

    def __init__(self, pages: dict[str, tuple[str, bytes]], *, ranges: bool = False) -> None:
        self.pages, self._ranges = pages, ranges
        self.requests: list[str] = []

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        """Answer one request and close."""
        request = connection.recv(65536).decode()
        self.requests.append(request)
        kind, content = self.pages.get(request.split()[1], ("", b""))
        status, more = ("200 OK" if kind else "404 Not Found"), ""
        wanted = re.search(r"Range: bytes=(\d+)-(\d*)", request)
        if self._ranges:
            more = "Accept-Ranges: bytes\r\n"
        if wanted and self._ranges:
            content = content[int(wanted[1]) : int(wanted[2]) + 1 if wanted[2] else None]
            status = "206 Partial Content"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{more}Connection: close\r\n\r\n"
        connection.sendall(head.encode() + content)

    @property
    def paths(self) -> list[str]:
        """Path of each request so far."""
        return [request.split()[1] for request in self.requests]


def redirect(location: str, *, protocol: str = "HTTP/1.1") -> Transcript:
    """Redirect every request, and keep the requests."""
    return Transcript(f"{protocol} 302 Moved\r\nCSeq: {{cseq}}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")


def challenge(*, protocol: str = "HTTP/1.1") -> Transcript:
    """Ask for a password with every answer, and keep the requests."""
    return Transcript(f'{protocol} 401 Unauthorized\r\nCSeq: {{cseq}}\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')


@contextmanager
def serving(answer: Answer, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve ``answer`` on every connection, with TLS if a context is given; yields the port."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    workers: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE_S)
            with suppress(OSError):  # the client may close at any time
                if tls is None:
                    answer(connection, stop)
                else:
                    with tls.wrap_socket(connection, server_side=True) as encrypted:
                        answer(encrypted, stop)

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            worker = threading.Thread(target=handle, args=(connection,), daemon=True)
            workers.append(worker)
            worker.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        acceptor.join(PATIENCE_S)
        for worker in workers:
            worker.join(PATIENCE_S)
        listener.close()
