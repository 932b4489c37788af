"""Asks an RTSP server where the stream is, before libav connects.

libav follows RTSP redirects to any host and gives that host the password. So OPTIONS and DESCRIBE are sent here first, in
the way that libav will send them: redirects are followed by ferstream's rules, and libav gets the final address.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from ferstream import __version__
from ferstream.capture.credentials import with_userinfo
from ferstream.capture.host_guard import MAX_REDIRECTS, Address, HostGuard
from ferstream.capture.http_auth import Authenticator
from ferstream.capture.source_errors import authentication_failed, no_video, not_found, timeout_error
from ferstream.errors import SourceError, SourceRedirectError
from ferstream.runtime.clock import Clock

MAX_REPLY_BYTES = 65_536
"""A longer answer, header and body together, is an error."""
_END_OF_HEADER = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class RtspReply:
    """The answer to one request.

    Attributes:
        status: Its number, such as 200.
        headers: Its headers.
    """

    status: int
    headers: Message


class RtspProbe:
    """Finds the final address of a stream. One thread."""

    def __init__(self, guard: HostGuard, *, name: str, timeout_s: float, clock: Clock) -> None:
        """Set up; nothing is connected yet.

        Args:
            guard: Opens connections, and says which hosts may be used.
            name: Name of the source for messages.
            timeout_s: Longest time for everything, in seconds.
            clock: Monotonic time.
        """
        self._guard, self._name, self._timeout_s, self._clock = guard, name, timeout_s, clock
        self._until_ns = clock.monotonic_ns() + int(timeout_s * 1e9)
        self._received = b""
        self._cseq = 0

    def url_for_libav(self) -> str:
        """Return the URL of the stream, after redirects; with the password only for the configured host.

        Raises:
            SourceError: The server refuses, does not answer, or leads to an address that is not followed.
        """
        address = self._guard.configured
        for _ in range(MAX_REDIRECTS + 1):
            location = self._ask(address)
            if location is None:
                return with_userinfo(self._guard.pinned(address).url, self._guard.credentials(address))
            address = self._guard.follow(address, location)
        raise SourceRedirectError(f"{self._name}: more than {MAX_REDIRECTS} redirects in a row")

    def _ask(self, address: Address) -> str | None:
        """Return where a server redirects to; None if it describes the stream."""
        authenticator = Authenticator(self._guard.credentials(address))
        self._received, self._cseq = b"", 0
        with self._guard.connect(address, self._time_left_s()) as connection:
            for method in ("OPTIONS", "DESCRIBE"):
                reply = self._authenticated(connection, method, address, authenticator)
                if 300 <= reply.status < 400:
                    return str(reply.headers.get("Location", ""))
                if reply.status != 200:
                    raise self._refused(reply.status)
        return None

    def _authenticated(self, connection: socket.socket, method: str, address: Address, authenticator: Authenticator) -> RtspReply:
        """Return the answer to a request, after at most two challenges."""
        reply = self._request(connection, method, address, authenticator)
        for refused in (False, True):
            if reply.status != 401 or not authenticator.challenge(reply.headers.get_all("WWW-Authenticate", []), refused=refused):
                break
            reply = self._request(connection, method, address, authenticator)
        return reply

    def _refused(self, status: int) -> SourceError:
        if status in (401, 403):
            return authentication_failed(self._name)
        if status == 404:
            return not_found(self._name)
        return SourceError(f"{self._name}: cannot be read (the server answered {status})")

    def _request(self, connection: socket.socket, method: str, address: Address, authenticator: Authenticator) -> RtspReply:
        self._cseq += 1
        lines = [f"{method} {address.url} RTSP/1.0", f"CSeq: {self._cseq}", f"User-Agent: ferstream/{__version__}"]
        if method == "DESCRIBE":
            lines.append("Accept: application/sdp")
        answer = authenticator.header(method, address.url)
        if answer is not None:
            lines.append(f"Authorization: {answer}")
        try:
            connection.settimeout(self._time_left_s())
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            return self._reply(connection)
        except TimeoutError:
            raise timeout_error(self._name, self._timeout_s) from None
        except OSError as exc:
            raise SourceError(f"{self._name}: cannot be read ({exc.strerror or type(exc).__name__})") from None

    def _reply(self, connection: socket.socket) -> RtspReply:
        """Read one answer; its body is left out."""
        header, self._received = self._split(connection)
        first, _, rest = header.decode("latin-1").partition("\r\n")
        words = first.split(maxsplit=2)
        if len(words) < 2 or not words[0].startswith("RTSP/") or not words[1].isdecimal() or len(words[1]) != 3:
            raise no_video(self._name)
        headers = HeaderParser().parsestr(rest)
        length = str(headers.get("Content-Length", "0")).strip()
        if not length.isdecimal() or len(length) > 6 or int(length) > MAX_REPLY_BYTES:
            raise no_video(self._name)
        while len(self._received) < int(length):
            self._receive(connection)
        self._received = self._received[int(length) :]
        return RtspReply(int(words[1]), headers)

    def _split(self, connection: socket.socket) -> tuple[bytes, bytes]:
        """Return the next header, and what was received after it."""
        while _END_OF_HEADER not in self._received:
            self._receive(connection)
        header, _, rest = self._received.partition(_END_OF_HEADER)
        return header, rest

    def _receive(self, connection: socket.socket) -> None:
        connection.settimeout(self._time_left_s())
        data = connection.recv(4096)
        if not data:
            raise SourceError(f"{self._name}: the server closed the connection without an answer")
        self._received += data
        if len(self._received) > 2 * MAX_REPLY_BYTES:
            raise no_video(self._name)

    def _time_left_s(self) -> float:
        left_s = (self._until_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise timeout_error(self._name, self._timeout_s)
        return left_s
