"""The embedded MQTT broker (iotcore, which is rumqttd in a wheel) for ``mqtt.url = "embedded"``.

For a first try and for a box that needs no other broker. It listens on the loopback address only and keeps nothing
across a restart. It runs in a child process that ends with this process; a thread watches the child and starts it
again on the same ports should it end alone. Subscribers of MQTT 3.1.1 and 5 use one port, 1883; ferstream
itself connects to rumqttd directly.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ferstream.errors import BrokerError
from ferstream.runtime.backoff import Backoff

HOST = "127.0.0.1"
DEFAULT_PORT = 1883
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 3.0
_POLL_S = 0.02
_START_ATTEMPTS = 3
_NAME = "embedded-broker"

_LOG = logging.getLogger(__name__)

_CONFIG = """id = 0

[router]
id = 0
max_connections = 200
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 10

[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 200
dynamic_filters = true
"""


class EmbeddedBroker:
    """An MQTT broker in a child process, on the loopback address."""

    def __init__(self, *, port: int = DEFAULT_PORT, backoff: Backoff | None = None, python: str = sys.executable) -> None:
        """Prepare; ``start`` starts the process.

        Args:
            port: Port for subscribers; a free one is used if it is taken, or if it is 0.
            backoff: Pauses between restarts.
            python: Interpreter that runs the child process.
        """
        self._wanted_port, self._python = port, python
        self._ports = (0, 0)
        self._backoff = backoff or Backoff(floor_s=0.5, cap_s=30.0)
        self._lock = threading.Lock()  # so that no process is started after a stop
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Port for subscribers, MQTT 3.1.1 and 5."""
        return self._ports[0]

    @property
    def url(self) -> str:
        """Address for ferstream's own connection, MQTT 5 only."""
        return f"mqtt://{HOST}:{self._ports[1]}"

    @property
    def public_url(self) -> str:
        """Address for subscribers, MQTT 3.1.1 and 5."""
        return f"mqtt://{HOST}:{self.port}"

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
        """Start the child and wait until both ports answer.

        Raises:
            BrokerError: It does not start.
        """
        if self._thread is not None:
            return
        self._stopped.clear()
        reason = ""
        for _ in range(_START_ATTEMPTS):  # a free port can be taken before the child binds it
            self._ports = _pick_ports(self._wanted_port)
            try:
                self._launch()
            except BrokerError as exc:
                reason = str(exc)
                self._end()
            else:
                self._thread = threading.Thread(target=self._watch, name=_NAME, daemon=True)
                self._thread.start()
                return
        raise BrokerError(f"the embedded broker did not start: {reason}")

    def stop(self) -> None:
        """End the child, also during a restart; more than one call is allowed."""
        with self._lock:
            self._stopped.set()
        self._end()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(2 * STOP_TIMEOUT_S)

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
            config = Path(folder) / "rumqttd.toml"
            front, back = self._ports
            config.write_text(_CONFIG.format(host=HOST, port=back), encoding="utf-8")
            self._spawn([self._python, "-m", "ferstream.broker.child", str(config), str(front), str(back)])
            for port in self._ports:
                self._await(port)

    def _spawn(self, command: list[str]) -> None:
        with self._lock:
            if self._stopped.is_set():
                raise BrokerError("the broker was stopped")
            nowhere = subprocess.DEVNULL
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True)

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        pause = threading.Event()
        while not _answers(port):
            if not self.running:
                raise BrokerError("the process ended at once")
            if time.monotonic() > deadline:
                raise BrokerError(f"port {port} did not answer within {START_TIMEOUT_S:.0f} s")
            pause.wait(_POLL_S)


def _how_it_ended(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


def _pick_ports(wanted: int) -> tuple[int, int]:
    """Return the wanted port if it is free, else a free one; and a second free one."""
    with socket.socket() as first, socket.socket() as second:
        first.bind((HOST, 0))
        second.bind((HOST, 0))
        front = wanted if wanted and _is_free(wanted) else first.getsockname()[1]
        return front, second.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not _answers(port)
