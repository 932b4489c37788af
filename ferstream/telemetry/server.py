"""The HTTP server of the metrics and health pages, in one thread of its own.

Starlette and uvicorn are imported by ``start``, so that importing telemetry stays cheap.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from ferstream.errors import AddressInUseError, ConfigError, ShutdownError
from ferstream.runtime.addresses import ListenAddress
from ferstream.telemetry.access import parse_listen
from ferstream.telemetry.access_policy import Access, access_to
from ferstream.telemetry.connections import ConnectionLimits, ConnectionScope, limited_protocol
from ferstream.telemetry.health import Report

if TYPE_CHECKING:
    import uvicorn
    from starlette.routing import BaseRoute

_BACKLOG = 64
_KEEP_ALIVE_S = 5
_GRACE_S = 2


class TelemetryServer:
    """Serves ``/metrics``, ``/healthz``, ``/readyz`` and ``/`` over HTTP.

    Args:
        listen: ``host:port``; port 0 takes a free one, see ``address``.
        registry: The metrics of ``/metrics``.
        health: Called by ``/healthz``, from the server's thread; must not wait.
        ready: Called by ``/readyz``, in the same way.
        access: Who may use the pages; by default everybody who can connect to a loopback address.
        title: One line on the front page, e.g. the node's name.
        limits: Number and lifetime of open connections.
        routes: More pages, in front of the server's own.

    Raises:
        ConfigError: ``listen`` is malformed, or open to the network without a token.
    """

    def __init__(
        self,
        *,
        listen: str,
        registry: CollectorRegistry,
        health: Callable[[], Report],
        ready: Callable[[], Report],
        access: Access | None = None,
        title: str = "",
        limits: ConnectionLimits | None = None,
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self._listen = parse_listen(listen)
        self._access = access or access_to(listen)
        self._registry, self._health, self._ready = registry, health, ready
        self._title = title
        self._limits, self._routes = limits or ConnectionLimits(), tuple(routes)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._address: ListenAddress | None = None

    @property
    def address(self) -> ListenAddress:
        """Where the server listens, with the real port.

        Raises:
            ConfigError: The server was not started.
        """
        if self._address is None:
            raise ConfigError("the telemetry server has no address before start")
        return self._address

    @property
    def url(self) -> str:
        """``http://host:port`` of the running server."""
        return f"http://{self.address}"

    def start(self, sock: socket.socket | None = None) -> None:
        """Bind the port and start the thread; on return, requests are answered.

        Args:
            sock: The bound port of ``reserve_port``, which is closed at the stop; None binds it now.

        Raises:
            AddressInUseError: The port is taken.
            ConfigError: The address is not one of this machine, or this user may not use the port.
        """
        sock = sock or _bind(self._listen)
        self._address = ListenAddress(self._listen.host, sock.getsockname()[1])
        self._server = server = self._build()
        # A daemon thread: a second signal ends the process even while a page does not return.
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="telemetry", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Close the port and end the thread; more than one call is allowed.

        Raises:
            ShutdownError: The thread still runs after ``timeout_s`` seconds.
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

    def _build(self) -> uvicorn.Server:
        import uvicorn

        from ferstream.telemetry.guard import MAX_HEADER_BYTES, Guard
        from ferstream.telemetry.pages import build_app

        app = build_app(registry=self._registry, health=self._health, ready=self._ready, title=self._title, routes=self._routes)
        connections = limited_protocol(self._limits)
        config = uvicorn.Config(
            ConnectionScope(Guard(app, self._access), connections.find),
            loop="asyncio",
            http=connections.protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        return uvicorn.Server(config)


def reserve_port(listen: str, *, key: str = "http.listen") -> socket.socket:
    """Bind the port of a server that is started later; connections wait until then.

    Args:
        listen: ``host:port``; port 0 takes a free one.
        key: The setting that ``listen`` came from, for error messages.

    Raises:
        AddressInUseError: The port is taken.
        ConfigError: The address is malformed, not one of this machine, or this user may not use the port.
    """
    return _bind(parse_listen(listen, key=key), key)


def _bind(listen: ListenAddress, key: str = "http.listen") -> socket.socket:
    try:
        family, *_, target = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"{key} = {listen}: {error.strerror or error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        # Connections that arrive before the event loop runs wait in the backlog.
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(f"{key} = {listen}: port {listen.port} is in use; choose another, or 0 for a free one") from error
        raise ConfigError(f"{key} = {listen}: {error.strerror or error}") from error
    return sock
