"""Asks an RTSP server where the stream is, before libav connects.

libav follows RTSP redirects to any host and gives that host the password. So OPTIONS and DESCRIBE are sent here first, in
the way that libav will send them: redirects are followed by ferstream's rules, and libav gets the final address. What libav
could not do, and would report in one word for everything, is named here: kinds of authentication, streams without video.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from ferstream import __version__
from ferstream.capture.credentials import Credentials, with_userinfo
from ferstream.capture.host_guard import MAX_REDIRECTS, Address, HostGuard
from ferstream.capture.http_auth import Authenticator, header_bytes, parse_challenges, refusal
from ferstream.capture.source_errors import (
    bad_status,
    closed_without_answer,
    forbidden,
    no_video,
    not_found,
    timeout_error,
    unsupported_authentication,
)
from ferstream.errors import SourceError, SourceFormatError, SourceRedirectError
from ferstream.runtime.clock import Clock

MAX_REPLY_BYTES = 65_536
"""A longer answer, header and body together, is an error."""
_END_OF_HEADER = b"\r\n\r\n"
_SUPPORTED = "MD5 digest, or to basic over rtsps (TLS)"
"""What libav can answer."""


@dataclass(frozen=True, slots=True)
class RtspReply:
    """The answer to one request.

    Attributes:
        status: Its number, such as 200.
        headers: Its headers.
        body: Its body.
    """

    status: int
    headers: Message
    body: bytes


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
                    raise self._refused(reply, self._guard.credentials(address))
        self._check_description(reply)
        return None

    def _check_description(self, reply: RtspReply) -> None:
        """Raise if the session description (SDP) names media, but no video."""
        media = re.findall(rb"^m=(\w+)", reply.body, re.MULTILINE)
        if media and b"video" not in media:
            kinds = ", ".join(dict.fromkeys(kind.decode("latin-1") for kind in media))
            raise SourceFormatError(f"{self._name}: holds no video, only {kinds}", "use the path of the camera's video stream")

    def _authenticated(self, connection: socket.socket, method: str, address: Address, authenticator: Authenticator) -> RtspReply:
        """Return the answer to a request, after at most two challenges."""
        reply = self._request(connection, method, address, authenticator)
        for refused in (False, True):
            if reply.status != 401:
                break
            challenges = reply.headers.get_all("WWW-Authenticate", [])
            self._check_challenges(challenges)
            if not authenticator.challenge(challenges, refused=refused):
                break
            reply = self._request(connection, method, address, authenticator)
        return reply

    def _check_challenges(self, headers: list[str]) -> None:
        """Raise if libav could not answer: it takes the last header with Digest and knows MD5 only, else the first with Basic."""
        digests = [challenge for header in headers for challenge in parse_challenges([header])[:1] if challenge.scheme == "digest"]
        if digests and digests[-1].algorithm != "MD5":
            raise unsupported_authentication(self._name, f"{digests[-1]} over RTSP", _SUPPORTED)

    def _refused(self, reply: RtspReply, credentials: Credentials | None) -> SourceError:
        if reply.status == 401:
            return refusal(self._name, reply.headers.get_all("WWW-Authenticate", []), credentials, supported=_SUPPORTED)
        if reply.status == 403:
            return forbidden(self._name)
        return not_found(self._name) if reply.status == 404 else bad_status(self._name, reply.status)

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
            connection.sendall(header_bytes("\r\n".join(lines) + "\r\n\r\n"))
            return self._reply(connection)
        except TimeoutError:
            raise timeout_error(self._name, self._timeout_s) from None
        except OSError as exc:
            raise SourceError(f"{self._name}: cannot be read ({exc.strerror or type(exc).__name__})") from None

    def _reply(self, connection: socket.socket) -> RtspReply:
        """Read one answer."""
        header, self._received = self._split(connection)
        first, _, rest = header.decode("latin-1").partition("\r\n")
        words = first.split(maxsplit=2)
        if first.startswith("HTTP/"):
            raise SourceFormatError(
                f"{self._name}: the server speaks HTTP here, not RTSP",
                "check the port (RTSP usually has 554), or write http:// in the source",
            )
        if len(words) < 2 or not words[0].startswith("RTSP/") or not words[1].isdecimal() or len(words[1]) != 3:
            raise no_video(self._name)
        headers = HeaderParser().parsestr(rest)
        length = str(headers.get("Content-Length", "0")).strip()
        if not length.isdecimal() or len(length) > 6 or int(length) > MAX_REPLY_BYTES:
            raise no_video(self._name)
        while len(self._received) < int(length):
            self._receive(connection)
        body, self._received = self._received[: int(length)], self._received[int(length) :]
        return RtspReply(int(words[1]), headers, body)

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
            raise closed_without_answer(self._name)
        self._received += data
        if len(self._received) > 2 * MAX_REPLY_BYTES:
            raise no_video(self._name)

    def _time_left_s(self) -> float:
        left_s = (self._until_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise timeout_error(self._name, self._timeout_s)
        return left_s
