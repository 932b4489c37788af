"""Sockets that remember how the other side began to answer, and the error that ended the connection.

paho reports both only as "connection lost": the first bytes tell a web server or a TLS port from a broker, and with TLS 1.3
the broker's reason to refuse a client certificate comes as an error of the first read, after the handshake.
"""

from __future__ import annotations

import socket
import ssl
from enum import Enum
from typing import Any, Final

HEAD_BYTES: Final = 2048
"""Bytes of the other side's first answer that are kept."""


class Stage(Enum):
    """How far a connection came."""

    NETWORK = "no TCP connection"
    TLS = "no TLS handshake"
    WEBSOCKET = "no WebSocket"
    MQTT = "no CONNACK"
    ANSWERED = "CONNACK"


class RecordingSocket(socket.socket):
    """A TCP connection.

    Attributes:
        head: The first bytes received.
        failure: The error that ended the connection; None if there was none, or the other side closed it.
    """

    head: bytes = b""
    failure: OSError | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive and record."""
        try:
            data = super().recv(buflen, flags)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as exc:
            self.failure = exc
            raise
        if len(self.head) < HEAD_BYTES:
            self.head += data
        return data


class RecordingTlsSocket(RecordingSocket, ssl.SSLSocket):
    """A TLS connection; ``head`` is what came inside TLS."""


def recording(sock: socket.socket) -> RecordingSocket:
    """Return a recording socket that takes the place of a connected one."""
    timeout_s = sock.gettimeout()
    wire = RecordingSocket(fileno=sock.detach())
    wire.settimeout(timeout_s)
    return wire


def recording_tls(sock: socket.socket, context: ssl.SSLContext, host: str, timeout_s: float) -> RecordingTlsSocket:
    """Return a recording TLS socket that takes the place of a connected one, before the handshake."""
    context.sslsocket_class = RecordingTlsSocket
    options: dict[str, Any] = {"server_hostname": host, "do_handshake_on_connect": False}
    wire = context.wrap_socket(sock, **options)
    assert isinstance(wire, RecordingTlsSocket)
    wire.settimeout(timeout_s)
    return wire
