"""A real RTSP server in a process of its own, which can be killed, suspended and started again on the same port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from tests.support.ports import free_port
from tests.support.runners import PATIENCE_S

SERVER = Path(sys.executable).with_name("rtsp-server")


class RtspServer:
    """Serves the clips of a folder as ``rtsp://127.0.0.1:PORT/NAME``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._control_port = free_port(), free_port()

    def url(self, name: str, *, port: int | None = None) -> str:
        """Return the URL of a clip, which is played in a loop; ``port`` is that of a proxy, if any."""
        return f"rtsp://127.0.0.1:{port or self.port}/{name}?play_count=0"

    def start(self) -> None:
        """Start the server and wait until it answers; a running server is kept."""
        if self._process is not None and self._process.poll() is None:
            return
        command = [str(SERVER), "--dir", str(self._folder), "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--control-port", str(self._control_port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline, pause = time.monotonic() + PATIENCE_S, Event()
        while not self._answers():
            assert self._process.poll() is None, "the RTSP server ended at once"
            assert time.monotonic() < deadline, "the RTSP server does not answer"
            pause.wait(0.02)

    def kill(self) -> None:
        """End the process, which closes every connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def freeze(self) -> None:
        """Suspend the process: connections stay open and silent."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the process."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


@contextmanager
def rtsp_server(folder: Path) -> Iterator[RtspServer]:
    """Run a server for the time of a test."""
    server = RtspServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
