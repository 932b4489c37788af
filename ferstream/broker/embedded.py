"""The embedded MQTT broker (iotcore, which is rumqttd in a wheel) for ``mqtt.url = "embedded"``.

For a first try and for a box that needs no other broker. It listens on the loopback address only, wants a password that is
new at each start, and keeps nothing across a restart. It runs in a child process that ends with this process; a thread
watches the child and starts it again should it end alone. Clients of MQTT 3.1.1 and 5 use one port, 1883. This process
binds that port and keeps it, so that nobody else can take it, and get the password, while the child is started again.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ferstream.broker.login import Login
from ferstream.broker.password_file import PasswordFile
from ferstream.errors import BrokerError
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.redaction import register_secret

HOST = "127.0.0.1"
DEFAULT_PORT = 1883
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 3.0
_BACKLOG = 100
_START_ATTEMPTS = 3
_NAME = "embedded-broker"

_LOG = logging.getLogger(__name__)


class EmbeddedBroker:
    """An MQTT broker in a child process, on the loopback address."""

    def __init__(
        self,
        *,
        port: int = DEFAULT_PORT,
        password_file: PasswordFile | None = None,
        backoff: Backoff | None = None,
        python: str = sys.executable,
    ) -> None:
        """Prepare; ``start`` starts the process.

        Args:
            port: Port for clients; a free one is used if it is taken, or if it is 0.
            password_file: Where the password is written; None keeps it in memory only.
            backoff: Pauses between restarts.
            python: Interpreter that runs the child process.
        """
        self._wanted_port, self._python = port, python
        self._listener: socket.socket | None = None
        self._port = 0
        self._login = Login.random()
        self._file = password_file
        self._backoff = backoff or Backoff(floor_s=0.5, cap_s=30.0)
        self._lock = threading.Lock()  # so that no process is started after a stop
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Port for clients, MQTT 3.1.1 and 5."""
        return self._port

    @property
    def url(self) -> str:
        """Address for clients, MQTT 3.1.1 and 5."""
        return f"mqtt://{HOST}:{self.port}"

    @property
    def login(self) -> Login:
        """User name and password that every client needs."""
        return self._login

    @property
    def password_path(self) -> Path | None:
        """The file that holds the password; None if there is none."""
        return None if self._file is None else self._file.path

    @property
    def running(self) -> bool:
        """Whether the child process runs."""
        process = self._process
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the child; None when it is stopped."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Start the child and wait until clients can connect.

        Raises:
            BrokerError: It does not start.
        """
        if self._thread is not None:
            return
        self._stopped.clear()
        self._listener = _bind(self._wanted_port)
        self._port = self._listener.getsockname()[1]
        self._login = Login.random()
        register_secret(self._login.password)
        self._launch_first()
        if self._file is not None:
            self._file.write(self._port, self._login.password)
        self._thread = threading.Thread(target=self._watch, name=_NAME, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the child, also during a restart; more than one call is allowed."""
        with self._lock:
            self._stopped.set()
        self._end()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(2 * STOP_TIMEOUT_S)
        self._unbind()
        if self._file is not None:
            self._file.remove()

    def _launch_first(self) -> None:
        for attempt in range(1, _START_ATTEMPTS + 1):  # the port of rumqttd can be taken before it binds it
            try:
                self._launch()
            except BrokerError as exc:
                self._end()
                if attempt == _START_ATTEMPTS:
                    self._unbind()
                    raise BrokerError(f"the embedded broker did not start: {exc}") from exc
            else:
                return

    def _unbind(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    # -- the watching thread -------------------------------------------------------------------

    def _watch(self) -> None:
        process, began = self._process, time.monotonic()
        while process is not None:
            status = process.wait()
            if self._stopped.is_set():
                return
            _LOG.error("the embedded broker ended (%s); it is started again on port %d", _how_it_ended(status), self.port)
            self._backoff.succeeded(time.monotonic() - began)
            self._end()
            self._restart()
            process, began = self._process, time.monotonic()

    def _restart(self) -> None:
        """Start the child again and again until it answers or ``stop`` is called."""
        logged = ""
        while not self._backoff.wait(self._stopped):
            try:
                self._launch()
            except (BrokerError, OSError) as exc:
                self._end()
                if str(exc) != logged and not self._stopped.is_set():
                    _LOG.error("the embedded broker did not start again: %s; retrying", exc)
                logged = str(exc)
            else:
                _LOG.info("the embedded broker is up again")
                return

    # -- the process ---------------------------------------------------------------------------

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)

    def _launch(self) -> None:
        with tempfile.TemporaryDirectory(prefix="ferstream-broker-") as folder:
            self._await_ready(self._spawn(folder))

    def _spawn(self, folder: str) -> subprocess.Popen[bytes]:
        listener = self._listener
        with self._lock:
            if self._stopped.is_set() or listener is None:
                raise BrokerError("the broker was stopped")
            process = self._process = subprocess.Popen(
                [self._python, "-m", "ferstream.broker.child", folder, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        if process.stdin is not None:
            # A pipe, not the command line, which every user can read.
            with contextlib.suppress(BrokenPipeError):  # it ended at once
                process.stdin.write(f"{self._login.password}\n".encode())
        return process

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the child's word that clients can connect.

        Raises:
            BrokerError: It ended or says nothing.
        """
        assert process.stdout is not None
        with process.stdout as stream:
            poller = select.poll()
            poller.register(stream, select.POLLIN)
            if not poller.poll(START_TIMEOUT_S * 1000):
                raise BrokerError(f"the process was not ready within {START_TIMEOUT_S:.0f} s")
            if not stream.readline():
                raise BrokerError("the process ended at once")


def _how_it_ended(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _bind(wanted: int) -> socket.socket:
    """Listen on the wanted port of the loopback address, or on a free one if it is taken.

    Raises:
        BrokerError: There is no free port.
    """
    for port in (wanted, 0):
        try:
            return socket.create_server((HOST, port), backlog=_BACKLOG)
        except OSError as exc:
            problem = exc
    raise BrokerError(f"the embedded broker did not start: {(problem.strerror or str(problem)).lower()}")
