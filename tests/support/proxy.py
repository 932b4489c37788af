"""A TCP proxy that cuts, delays, holds or damages what passes, when a test asks for it."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress

from tests.support.runners import PATIENCE_S


class Proxy:
    """Forwards connections to a port on loopback; a context manager."""

    def __init__(self, target_port: int, *, seed: int = 1) -> None:
        self._target_port = target_port
        self._rng = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._stop, self._flowing = threading.Event(), threading.Event()
        self._flowing.set()
        self.garble_one_in = 0
        """Damage about one byte in this many of what the server sends; 0 = none."""
        self.delay_s = 0.0
        """Seconds to delay each piece of what the server sends."""

    def __enter__(self) -> Proxy:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._flowing.set()
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._listener.close()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            doomed, self._sockets = self._sockets, []
        for connection in doomed:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def hold(self) -> None:
        """Forward nothing, and keep the connections."""
        self._flowing.clear()

    def flow(self) -> None:
        """Forward again."""
        self._flowing.set()

    def _accept(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError, ConnectionRefusedError):
                client, _ = self._listener.accept()
                client.settimeout(None)
                try:
                    server = socket.create_connection(("127.0.0.1", self._target_port))
                except ConnectionRefusedError:
                    client.close()
                    continue
                with self._lock:
                    self._sockets += [client, server]
                self._spawn(self._both_ways, client, server)

    def _both_ways(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True)
            back.start()
            self._pass_on(client, server, False)
            back.join(PATIENCE_S)

    def _pass_on(self, source: socket.socket, target: socket.socket, from_server: bool) -> None:
        with suppress(OSError):
            while content := source.recv(16384):
                if from_server and self.delay_s:
                    self._stop.wait(self.delay_s)
                self._flowing.wait(PATIENCE_S)
                target.sendall(self._garbled(content) if from_server else content)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _garbled(self, content: bytes) -> bytes:
        if not self.garble_one_in:
            return content
        damaged = bytearray(content)
        for _ in range(max(1, len(content) // self.garble_one_in)):
            damaged[self._rng.randrange(len(damaged))] ^= 1 << self._rng.randrange(8)
        return bytes(damaged)

    def _spawn(self, call: object, *args: object) -> None:
        thread = threading.Thread(target=call, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
