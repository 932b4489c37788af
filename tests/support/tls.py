"""Certificates for tests, and a TLS front for a server that has none."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

from tests.support.http_stub import serving


class Authority:
    """A certificate authority with a server certificate for ``names``.

    Args:
        folder: Where the PEM file goes.
        names: Host names and addresses of the certificate.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        authority = trustme.CA()
        self.ca_file = folder / f"ca-{id(authority)}.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self.context)


@contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Accept TLS connections and pass their content to a port of loopback; yields the port of the front."""

    def pass_on(connection: socket.socket, stop: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=_copy, args=(server, connection), daemon=True)
            back.start()
            _copy(connection, server)
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    with serving(pass_on, tls=context) as front:
        yield front


def _copy(source: socket.socket, target: socket.socket) -> None:
    source.settimeout(None)
    with suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError, ValueError):
        socket.socket.shutdown(target, socket.SHUT_RDWR)
