"""Serves the pages from one thread of its own: ``start``, ``stop``, and the thread is gone.

starlette and uvicorn are imported at ``start``, so that importing telemetry stays cheap.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from ferstream.errors import AddressInUseError, ConfigError, ShutdownError
from ferstream.telemetry.access import Address, RateLimit, parse_listen, require_token
from ferstream.telemetry.health import Report

if TYPE_CHECKING:
    import uvicorn

_MAX_CONNECTIONS = 64
_MAX_CONNECTIONS_OF_A_PEER = 16
_MAX_HEADER_BYTES = 16 * 1024
_GRACE_S = 2


class TelemetryServer:
    """``/metrics``, ``/healthz``, ``/readyz`` and ``/`` over HTTP.

    Args:
        listen: ``host:port``; port 0 takes a free one, see ``address``.
        registry: What ``/metrics`` shows.
        health: Asked by ``/healthz``.
        ready: Asked by ``/readyz``.
        token: What callers must present; needed unless ``listen`` is loopback.
        title: One line on the front page, e.g. the node's name.
        key: The setting that ``listen`` came from, for messages.
        connection_lifetime_s: A connection is cut after this, whatever it is doing.

    Raises:
        ConfigError: ``listen`` is malformed, or open to others without a token.
    """

    def __init__(
        self,
        *,
        listen: str,
        registry: CollectorRegistry,
        health: Callable[[], Report],
        ready: Callable[[], Report],
        token: str | None = None,
        title: str = "",
        key: str = "http.listen",
        connection_lifetime_s: float = 30.0,
    ) -> None:
        self._wanted = parse_listen(listen, key=key)
        require_token(self._wanted, token)
        self._registry, self._health, self._ready = registry, health, ready
        self._token, self._title, self._key = token, title, key
        self._lifetime_s = connection_lifetime_s
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Where it listens, with the real port.

        Raises:
            ConfigError: It was not started.
        """
        if self._address is None:
            raise ConfigError("the telemetry server has no address before start")
        return self._address

    @property
    def url(self) -> str:
        """``http://host:port`` of the running server."""
        return f"http://{self.address}"

    def start(self) -> None:
        """Bind and serve; returns when requests can be answered.

        Raises:
            AddressInUseError: The port is taken.
            ConfigError: The address is not one of this machine, or the port is forbidden.
        """
        sock = self._bind()
        self._address = Address(self._wanted.host, sock.getsockname()[1])
        self._server = server = self._build()
        # A daemon thread, so that a second signal can abandon the process while a page is stuck.
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="telemetry", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Close the port and end the thread; more than once is fine.

        Raises:
            ShutdownError: The thread outlived ``timeout_s``.
        """
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise ShutdownError(f"the telemetry server on {self.address} did not stop within {timeout_s:g} s")

    @property
    def alive(self) -> bool:
        """Whether the server's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _bind(self) -> socket.socket:
        wanted = self._wanted
        try:
            family, *_, target = socket.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM)[0]
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(f"{self._key} = {wanted}: {error.strerror or error}") from error
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(target)
            # Listening from here on: whoever connects before the event loop runs waits in the backlog.
            sock.listen(_MAX_CONNECTIONS)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                raise AddressInUseError(
                    f"{self._key} = {wanted}: port {wanted.port} is in use; choose another, or 0 for a free one"
                ) from error
            raise ConfigError(f"{self._key} = {wanted}: {error.strerror or error}") from error
        return sock

    def _build(self) -> uvicorn.Server:
        import uvicorn

        from ferstream.telemetry.connections import limited_protocol
        from ferstream.telemetry.pages import Guard, build_app

        app = build_app(registry=self._registry, health=self._health, ready=self._ready, title=self._title)
        config = uvicorn.Config(
            Guard(app, token=self._token, loopback=self._wanted.loopback, limit=RateLimit()),
            loop="asyncio",
            http=limited_protocol(lifetime_s=self._lifetime_s, per_peer=_MAX_CONNECTIONS_OF_A_PEER),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        )
        return uvicorn.Server(config)
