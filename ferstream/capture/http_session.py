"""GET requests of one HTTP stream: redirects, passwords, time limits and sizes."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from ferstream import __version__
from ferstream.capture.host_guard import MAX_REDIRECTS, Address, HostGuard
from ferstream.capture.http_auth import Authenticator, header_bytes, refusal
from ferstream.capture.options import Connecting
from ferstream.capture.source_errors import bad_status, closed_without_answer, forbidden, not_found, silent, slow_start, timeout_error
from ferstream.capture.timed_socket import TimedSocket
from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceRedirectError, SourceTimeoutError
from ferstream.runtime.clock import Clock

MAX_REQUESTS_WITHOUT_VIDEO = 64
"""So many requests without a packet of video end the stream."""
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Reply:
    """An open response.

    Attributes:
        sock: The socket it comes from; ``http.client`` gives it away where the connection ends with the response.
        response: Status, headers and body.
    """

    sock: socket.socket
    response: http.client.HTTPResponse

    def close(self) -> None:
        """Close the connection."""
        self.response.close()
        self.sock.close()


class HttpSession:
    """Makes the requests of one stream and counts what it receives. One thread."""

    def __init__(self, guard: HostGuard, *, name: str, connecting: Connecting, max_picture_bytes: int, clock: Clock) -> None:
        """Set up; nothing is connected yet.

        Args:
            guard: Opens connections, and says which hosts may be used.
            name: Name of the source for messages.
            connecting: Time limits.
            max_picture_bytes: So many bytes without a packet of video end the stream.
            clock: Monotonic time.
        """
        self.guard, self.name = guard, name
        self._connecting, self._clock = connecting, clock
        self._max_picture_bytes = max_picture_bytes
        self._authenticator = Authenticator(guard.credentials(guard.configured))
        self._bytes = self._requests = 0
        self._opening, self._answered = True, False
        self._until_ns: int | None = self._in_connect_timeout()
        """When the connection and the header of a response must be there, or all of opening; None: each read has its limit."""

    def opened(self) -> None:
        """End the time of opening: from now on, each read of a body may take ``read_timeout_s``."""
        self._opening, self._until_ns = False, None

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""
        return self._clock.monotonic_ns()

    def packet_received(self) -> None:
        """Reset the limits that apply between two packets of video."""
        self._bytes = self._requests = 0

    def count_bytes(self, count: int) -> None:
        """Count received bytes of the body.

        Raises:
            SourceFormatError: There are too many without a picture.
        """
        self._bytes += count
        if self._bytes > self._max_picture_bytes:
            limit = self._max_picture_bytes / 1e6
            raise SourceFormatError(f"{self.name}: no picture in {limit:.0f} MB of data; max_pixels of the camera sets this limit too")

    def time_left_s(self) -> float:
        """Return how long the next wait for data may take, in seconds.

        Raises:
            SourceTimeoutError: The time of opening, or of a request, is over.
        """
        if self._until_ns is None:
            return self._connecting.read_timeout_s
        left_s = (self._until_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise self._timeout()
        return left_s

    def _timeout(self) -> SourceTimeoutError:
        if self._until_ns is None:
            return silent(self.name, self._connecting.read_timeout_s)
        limit_s = self._connecting.connect_timeout_s
        return slow_start(self.name, limit_s) if self._answered else timeout_error(self.name, limit_s)

    def _in_connect_timeout(self) -> int:
        return self._clock.monotonic_ns() + int(self._connecting.connect_timeout_s * 1e9)

    def get(self, address: Address, byte_range: str | None = None) -> tuple[Reply, Address]:
        """Request a URL, follow redirects that are allowed, and answer a challenge of the configured host.

        Args:
            address: Address to request.
            byte_range: Value of the ``Range`` header; None for the whole body.

        Returns:
            The response with a status of 200 or 206, and the address that it came from.

        Raises:
            SourceError: There is no such response; subclasses tell the cause.
        """
        for _ in range(MAX_REDIRECTS + 1):
            reply = self._authenticated(address, byte_range)
            if reply.response.status not in _REDIRECTS:
                checked = self._checked(reply, address, byte_range)
                self._answered = True
                return checked, address
            location = reply.response.headers.get("Location", "")
            reply.close()
            address = self.guard.follow(address, location)
        raise SourceRedirectError(f"{self.name}: more than {MAX_REDIRECTS} redirects in a row")

    def _authenticated(self, address: Address, byte_range: str | None) -> Reply:
        """Return the response, after at most two challenges."""
        reply = self._request(address, byte_range)
        for refused in (False, True):
            if reply.response.status != HTTPStatus.UNAUTHORIZED or self.guard.credentials(address) is None:
                break
            if not self._authenticator.challenge(reply.response.headers.get_all("WWW-Authenticate", []), refused=refused):
                break
            reply.close()
            reply = self._request(address, byte_range)
        return reply

    def _request(self, address: Address, byte_range: str | None) -> Reply:
        self._requests += 1
        if self._requests > MAX_REQUESTS_WITHOUT_VIDEO:
            raise SourceFormatError(f"{self.name}: no picture after {MAX_REQUESTS_WITHOUT_VIDEO} requests")
        if not self._opening:
            self._until_ns = self._in_connect_timeout()
        reply = self._exchange(address, byte_range)
        if not self._opening:
            self._until_ns = None
        return reply

    def _exchange(self, address: Address, byte_range: str | None) -> Reply:
        """Send a request, and read the header of the response."""
        sock = self.guard.connect(address, self.time_left_s())
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.sock = TimedSocket(sock, self.time_left_s)
        headers: dict[str, str | bytes] = {
            "Host": address.authority,
            "User-Agent": f"ferstream/{__version__}",
            "Accept": "*/*",
            "Connection": "close",
        }
        answer = self._authenticator.header("GET", address.target) if self.guard.credentials(address) is not None else None
        if answer is not None:
            headers["Authorization"] = header_bytes(answer)
        if byte_range is not None:
            headers["Range"] = byte_range
        try:
            with self.translated():
                connection.request("GET", address.target, headers=headers)
                return Reply(sock, connection.getresponse())
        except SourceError:
            sock.close()
            raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Translate the errors of a wait for the server.

        Raises:
            SourceError: Sending or receiving failed.
        """
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise self._translate(exc) from None

    def _translate(self, exc: Exception) -> SourceError:
        if isinstance(exc, TimeoutError):
            return self._timeout()
        if isinstance(exc, http.client.RemoteDisconnected):
            return closed_without_answer(self.name)
        if isinstance(exc, http.client.BadStatusLine) and str(exc).startswith("RTSP/"):
            return SourceFormatError(f"{self.name}: the server speaks RTSP here, not HTTP", "write rtsp:// in the source")
        if isinstance(exc, http.client.IncompleteRead):
            return SourceError(f"{self.name}: the connection broke in the middle of the data")
        if isinstance(exc, OSError):
            return SourceError(f"{self.name}: cannot be read ({exc.strerror or type(exc).__name__})")
        return SourceFormatError(f"{self.name}: the server's answer is not HTTP that can be read", "check the port")

    def _checked(self, reply: Reply, address: Address, byte_range: str | None) -> Reply:
        """Return a response that has the wanted content; close any other one and raise."""
        status = reply.response.status
        if status == (HTTPStatus.OK if byte_range is None else HTTPStatus.PARTIAL_CONTENT):
            return reply
        reply.close()
        if status == HTTPStatus.UNAUTHORIZED:
            raise self._refusal(address, reply.response.headers.get_all("WWW-Authenticate", []))
        if status == HTTPStatus.FORBIDDEN:
            raise forbidden(self.name)
        if status == HTTPStatus.NOT_FOUND:
            raise not_found(self.name)
        raise bad_status(self.name, status)

    def _refusal(self, address: Address, headers: list[str]) -> SourceError:
        credentials = self.guard.credentials(address)
        if credentials is None and self.guard.credentials(self.guard.configured) is not None:
            return SourceAuthError(
                f"{self.name}: authentication failed: leads to {address.origin}, which asks for a password",
                "name that host in the source: the password is sent to the host of the source only",
            )
        return refusal(self.name, headers, credentials)
