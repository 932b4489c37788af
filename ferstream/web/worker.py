"""A worker process for what strangers upload, as the daemon sees it: start, ask, end.

Pictures and recordings of strangers are decoded by libraries in C. A fault in one of them must cost neither the daemon nor
its cameras, so this is done in a process that may be killed at any time.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferstream.errors import WorkerError
from ferstream.web.worker_protocol import Json, PeerGoneError, close_files, receive_message, send_message

_WAIT_S = 10.0
"""Longest wait for the end of a killed process. One that the kernel cannot end is left behind."""

_END_S = 1.0
"""Longest wait for the end of a process that closed its socket."""
_HINTS: dict[int, str] = {
    signal.SIGKILL: "; the system may have run out of memory",
    signal.SIGABRT: "; it may have reached its memory limit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """How a worker process is started.

    Attributes:
        command: Program and arguments; the number of its socket is added at the end.
        environment: All of its environment variables.
        setup: Its first message.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    setup: Json


class Worker:
    """A running worker process. One thread talks to it; any thread may kill it."""

    def __init__(self, plan: WorkerPlan) -> None:
        """Start the process; it is not ready yet.

        Raises:
            WorkerError: The process cannot be started.
        """
        self._lock = threading.Lock()
        self._killed = False
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*plan.command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=dict(plan.environment),
                    pass_fds=(theirs.fileno(),),
                    process_group=0,  # not a session of its own: its low priority would count in there only
                )
        except OSError as exc:
            self._socket.close()
            raise WorkerError(f"the worker process cannot be started: {exc.strerror or exc}") from exc
        self._setup: Json | None = plan.setup

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def send(self, message: Json, files: Sequence[int] = (), *, timeout_s: float = 10.0) -> None:
        """Send a message.

        Args:
            message: The message.
            files: Descriptors of files that the worker may use.
            timeout_s: Longest wait, in seconds, for a worker that does not read.

        Raises:
            WorkerError: The worker ended, or does not read; then it is killed.
        """
        setup, self._setup = self._setup, None
        try:
            self._socket.settimeout(timeout_s)
            if setup is not None:
                send_message(self._socket, setup)
            send_message(self._socket, message, files)
        except TimeoutError:
            raise self._hung(timeout_s) from None
        except PeerGoneError:
            raise self._ended() from None

    def receive(self, timeout_s: float) -> Json:
        """Wait for a message.

        Raises:
            WorkerError: The worker ended, or sent nothing for ``timeout_s`` seconds; then it is killed.
        """
        try:
            self._socket.settimeout(timeout_s)
            message, files = receive_message(self._socket)
        except TimeoutError:
            raise self._hung(timeout_s) from None
        except PeerGoneError:
            raise self._ended() from None
        close_files(files)  # a worker has none to give
        return message

    def kill(self) -> None:
        """End the process at once; any thread, more than once."""
        with self._lock:
            self._killed = True
            self._process.kill()

    def close(self) -> None:
        """End the process and wait for its end; more than once."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
        self._socket.close()

    def _hung(self, timeout_s: float) -> WorkerError:
        self.close()
        return WorkerError(f"the worker process did not answer within {timeout_s:g} s and was ended")

    def _ended(self) -> WorkerError:
        with self._lock:
            was_killed = self._killed
        with contextlib.suppress(subprocess.TimeoutExpired):  # it lives, and sent what is not a message
            self._process.wait(_END_S)
        status = self._process.returncode
        self.close()
        if was_killed:
            return WorkerError("the worker process was ended")
        return WorkerError(f"the worker process {_how_it_ended(status)}")


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "sent what is no message and was ended"
    if status >= 0:
        return f"ended with status {status}"
    number = -status
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"was ended by {name}{_HINTS.get(number, '')}"
