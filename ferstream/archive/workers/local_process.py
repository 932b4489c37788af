"""One process of a local worker: its streams, and how it ended. The thread of the driver calls it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ferstream.archive.tasks import Task
from ferstream.archive.workers.worker_messages import Answer, decode_answer
from ferstream.runtime.redaction import redact

_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP})
_NO_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory")
_TAIL_BYTES = 4096
"""Bytes of stderr that are kept."""
_LONGEST_LINE = 1 << 20
_LONGEST_REASON = 300
_PIECE_BYTES = 1 << 16
_ALLOCATION = {"MALLOC_ARENA_MAX": "2"}
"""Each chunk has threads of its own. With an arena of memory for each, a worker settled at 298 MB; with two in all at 264 MB, as fast."""
_END_S = 5.0
"""Seconds that a process may take to end after it has closed its stdout."""


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended.

    Attributes:
        reason: In plain words.
        is_crash: Whether the program itself failed; see ``Died``.
    """

    reason: str
    is_crash: bool


class LocalProcess:
    """A process whose answers are read when its streams are readable.

    Attributes:
        task: The task that it has.
        reason: Why it does not start, if it said so.
    """

    def __init__(self, command: Sequence[str], scratch: Path) -> None:
        """Start it, in a process group of its own, so that Ctrl-C of the terminal does not reach it.

        Args:
            command: Program and arguments.
            scratch: A folder that it may make; it is removed at the end.

        Raises:
            OSError: It cannot be started.
        """
        pipe, environment = subprocess.PIPE, _ALLOCATION | os.environ
        self._popen = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, process_group=0)
        self._scratch = scratch
        self._line, self._tail = b"", b""
        self._is_garbled = False
        self.has_ended = False
        """Whether it has closed its stdout, or wrote what is no answer."""
        self.task: Task | None = None
        self.reason = ""
        for stream in self.streams:
            os.set_blocking(stream.fileno(), False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def streams(self) -> tuple[IO[bytes], IO[bytes]]:
        """Its stdout and stderr."""
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        return self._popen.stdout, self._popen.stderr

    def send(self, data: bytes) -> None:
        """Write to its stdin; a process that has ended is found out by its stdout."""
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write(data)

    def answers(self) -> Iterator[Answer]:
        """Yield the answers that have come."""
        stdout, _ = self.streams
        self._read_stderr()
        data = _read(stdout)
        if data is None:
            return
        self.has_ended = not data
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            try:
                yield decode_answer(line)
            except ValueError:
                self.has_ended = self._is_garbled = True
                return
        if len(self._line) > _LONGEST_LINE:
            self.has_ended = self._is_garbled = True

    def end(self) -> End:
        """Return how it ended, after ``has_ended``; it is killed if it has not."""
        if self._is_garbled:
            self.kill()
            return End("wrote what is no answer", is_crash=True)
        try:
            status = self._popen.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return End("closed its output and did not end", is_crash=True)
        self._read_stderr()
        return self._reported(status)

    def kill(self) -> None:
        """End it at once."""
        self._popen.kill()

    def close(self) -> None:
        """End it at once, wait for that, and remove what it has fetched."""
        self.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, *self.streams):
            if stream is not None:
                stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _reported(self, status: int) -> End:
        if self.reason:
            return End(self.reason, is_crash=True)
        lines = [line.strip() for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        last = f": {redact(lines[-1])[:_LONGEST_REASON]}" if lines else ""
        has_memory = not any(sign in line for line in lines[-3:] for sign in _NO_MEMORY)
        if status < 0:
            is_crash = -status in _CRASHES
            return End(f"killed by {_signal_name(-status)}{last if is_crash else ''}", is_crash=is_crash and has_memory)
        return End(f"ended with status {status}{last}", is_crash=has_memory)

    def _read_stderr(self) -> None:
        _, stderr = self.streams
        while data := _read(stderr):
            self._tail = (self._tail + data)[-_TAIL_BYTES:]


def _read(stream: IO[bytes]) -> bytes | None:
    """Return what can be read at once; empty at the end of the stream, None if there is nothing yet."""
    return stream.read(_PIECE_BYTES)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
