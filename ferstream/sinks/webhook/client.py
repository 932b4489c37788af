"""One HTTP connection that posts one event at a time; each is used by one worker.

``http.client`` of the standard library is enough: one POST at a time, no redirects, no cookies, no proxies.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import socket
import ssl
import threading
from datetime import UTC
from http import HTTPStatus
from urllib.parse import urlsplit

from ferstream import __version__
from ferstream.outbox.entry import Delivery
from ferstream.runtime.clock import Clock
from ferstream.sinks.transport import Accepted, Failed, Refused, Result
from ferstream.sinks.webhook.cloud_event import CONTENT_TYPE, envelope, event_id
from ferstream.sinks.webhook.endpoint import WebhookEndpoint
from ferstream.sinks.webhook.signature import signed_headers

MAX_RESPONSE_BYTES = 65_536
"""The rest of a longer response is not read, and its connection is closed."""
BODY_TIMEOUT_S = 1.0
"""Longest wait for the next part of the body of a response; the status has arrived before."""
ENDPOINT_STATUS = frozenset((408, 429, 502, 503, 504))
"""Answers that concern the server, not one event: nothing else is sent until the wait is over."""

_CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class WebhookClient:
    """Implements ``Client`` over HTTP/1.1 with a connection that is kept open."""

    def __init__(self, *, endpoint: WebhookEndpoint, tls: ssl.SSLContext | None, clock: Clock) -> None:
        self._endpoint, self._tls, self._clock = endpoint, tls, clock
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._aborted = False

    def connect(self) -> Failed | None:
        """Connect, with TLS if the URL says so; return why that failed."""
        try:
            self._opened()
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            return Failed(self._explain(exc))
        return None

    def send(self, delivery: Delivery) -> Result:
        """Post one event and read the response."""
        try:
            body = envelope(delivery)
        except (ValueError, RecursionError):
            return Refused(delivery, "the payload is not valid JSON")
        headers = {"Content-Type": CONTENT_TYPE, "User-Agent": f"ferstream/{__version__}"} | signed_headers(
            self._endpoint.signing_keys,
            event_id=event_id(delivery),
            timestamp_s=self._clock.utc_ns() // 1_000_000_000,
            body=body,
        )
        try:
            response = self._post(body, headers)
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            return Failed(self._explain(exc))
        self._read_rest(response)
        return self._result(delivery, response)

    def abort(self) -> None:
        """End the call that runs now and every later one; any thread may call it."""
        with self._lock:
            self._aborted = True
            if self._connection is not None and self._connection.sock is not None:
                with contextlib.suppress(OSError):
                    self._connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the connection; the next request opens another one."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # -- the request -----------------------------------------------------------------------------

    def _post(self, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send the request; on a kept connection that the server has closed meanwhile, once more on a new one."""
        is_kept = self._connection is not None and self._connection.sock is not None
        try:
            return self._post_once(body, headers)
        except _CLOSED:
            self.close()
            if not is_kept or self._aborted:
                raise
        return self._post_once(body, headers)

    def _post_once(self, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        connection = self._opened()
        connection.request("POST", self._endpoint.target, body=body, headers=headers)
        return connection.getresponse()

    def _opened(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            if self._connection.sock is not None:
                return self._connection
            self.close()
        connection = self._new_connection()
        with self._lock:
            self._connection = connection
        connection.connect()
        with self._lock:  # from here on, abort finds the socket
            if self._aborted:
                raise ConnectionAbortedError("aborted")
        return connection

    def _new_connection(self) -> http.client.HTTPConnection:
        endpoint = self._endpoint
        if self._tls is None:
            return http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=endpoint.timeout_s)
        return http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=endpoint.timeout_s, context=self._tls)

    def _read_rest(self, response: http.client.HTTPResponse) -> None:
        """Read the body, which nobody needs, so that the connection can be used again; else close it."""
        sock = None if self._connection is None else self._connection.sock
        if sock is None or response.will_close:
            self.close()
            return
        try:
            sock.settimeout(BODY_TIMEOUT_S)
            response.read(MAX_RESPONSE_BYTES)
            sock.settimeout(self._endpoint.timeout_s)
        except (OSError, http.client.HTTPException):
            self.close()
        if not response.isclosed():
            self.close()

    # -- the response ----------------------------------------------------------------------------

    def _result(self, delivery: Delivery, response: http.client.HTTPResponse) -> Result:
        status = response.status
        if 200 <= status < 300:
            return Accepted(delivery)
        label, answer = self._endpoint.label, f"{status} {_phrase(status)}".strip()
        if 300 <= status < 400:
            where = _origin(response.headers.get("Location", ""))
            return Failed(f"{label} redirects{where} ({answer}), which is not followed: set webhook.url to the final address")
        if 400 <= status < 500 and status not in ENDPOINT_STATUS:
            return Refused(delivery, answer)
        return Failed(
            f"{label} answered {answer}",
            delivery=None if status in ENDPOINT_STATUS else delivery,
            retry_after_s=retry_after_s(response.headers.get("Retry-After", ""), now_s=self._clock.utc_ns() / 1e9),
        )

    def _explain(self, exc: Exception) -> str:
        """Return why there is no response; the text of the library is not used, it may contain the path."""
        return f"{self._endpoint.label}: {_reason(exc, self._endpoint.timeout_s)}"


def retry_after_s(value: str, *, now_s: float) -> float:
    """Return the seconds that a ``Retry-After`` header asks for: a number or an HTTP date; 0 if it is missing or not valid."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_s)


def _reason(exc: Exception, timeout_s: float) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"the certificate of the server is not trusted: {exc.verify_message} (see webhook.ca_file)"
    if isinstance(exc, ssl.SSLError) and not isinstance(exc, _CLOSED):
        return "no TLS connection (does the port speak TLS?)"
    if isinstance(exc, socket.gaierror):
        return "unknown host"
    if isinstance(exc, TimeoutError):
        return f"no response within {timeout_s:g} s"
    if isinstance(exc, ConnectionRefusedError):
        return "connection refused; is a server running there?"
    if isinstance(exc, _CLOSED):
        return "the server closed the connection without a response"
    if isinstance(exc, OSError):
        return exc.strerror or "no connection"
    return "the response is not valid HTTP"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _origin(location: str) -> str:
    """Return `` to scheme://host`` of a redirect to another server; its path may be secret."""
    try:
        parts = urlsplit(location)
        host = parts.hostname
    except ValueError:
        return ""
    return f" to {parts.scheme}://{host}" if host and parts.scheme in ("http", "https") else ""
