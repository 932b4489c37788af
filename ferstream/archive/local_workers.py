"""Workers as processes of this machine. One thread uses ``LocalWorkers``; a thread for each process reads its answers."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any

from ferstream.app.factories import cores as all_cores
from ferstream.archive.tasks import Died, Finished, Ready, Report, Task
from ferstream.archive.worker_process import decode_outcome
from ferstream.runtime.printable import printable
from ferstream.runtime.redaction import redact

CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals by which a program ends itself; any other one came from outside."""
_STDERR_BYTES = 4096
_END_S = 10.0


class LocalWorkers:
    """Processes of this machine, which share its cores; see ``Workers``."""

    def __init__(self, where: str, count: int, *, cores: int | None = None) -> None:
        """Nothing is started yet.

        Args:
            where: The archive.
            count: Number of processes.
            cores: Cores that each of them may use; None for an equal share of all.
        """
        self._where, self._count, self._cores = where, count, cores or max(1, all_cores() // count)
        self._processes: dict[int, _Process] = {}
        self._reports: queue.SimpleQueue[tuple[_Process, Report]] = queue.SimpleQueue()

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes.values():
            process.ask_to_end()
        for worker in list(self._processes):
            self.stop(worker)

    @property
    def count(self) -> int:
        """Number of workers."""
        return self._count

    def start(self, worker: int) -> None:
        """Start a process; see ``Workers``."""
        self._processes[worker] = _Process(worker, self._where, self._cores, self._reports)

    def submit(self, worker: int, task: Task) -> None:
        """Give a task to a worker that is ready. If the process has ended, ``wait`` says so."""
        self._processes[worker].submit(task)

    def stop(self, worker: int) -> None:
        """End a process at once; see ``Workers``."""
        process = self._processes.pop(worker, None)
        if process is not None:
            process.end()

    def wait(self, timeout_s: float) -> list[Report]:
        """Return what has happened; see ``Workers``."""
        found: list[Report] = []
        with contextlib.suppress(queue.Empty):
            self._take(self._reports.get(timeout=timeout_s), found)
            while True:
                self._take(self._reports.get_nowait(), found)
        return found

    def _take(self, item: tuple[_Process, Report], found: list[Report]) -> None:
        process, report = item
        if self._processes.get(report.worker) is not process:
            return  # it was stopped
        if isinstance(report, Died):
            self.stop(report.worker)
        found.append(report)


class _Process:
    """One process, with a thread that reads what it says."""

    def __init__(self, worker: int, where: str, cores: int, reports: queue.SimpleQueue[tuple[_Process, Report]]) -> None:
        self._worker, self._reports = worker, reports
        self._task: Task | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the thread)
        command = [sys.executable, "-m", "ferstream.archive.worker_process", where, str(cores)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
        self._thread = threading.Thread(target=self._read, name=f"worker-{worker}", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        self._task = task
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, and the thread will say so
            self._process.stdin.write(json.dumps([task.recording, task.chunk]).encode() + b"\n")
            self._process.stdin.flush()

    def ask_to_end(self) -> None:
        """Close its input, at which it ends after it has removed its scratch files."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def end(self) -> None:
        self.ask_to_end()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._thread.join()

    def _read(self) -> None:
        """Report what the process says, and in the end how it ended."""
        assert self._process.stdout is not None
        with self._process.stdout as answers, self._errors:
            for line in answers:
                with contextlib.suppress(ValueError):  # half a line of a process that was killed
                    self._reports.put((self, self._report(json.loads(line))))
            code = self._process.wait()
            self._reports.put((self, Died(self._worker, self._how(code), is_crash=code > 0 or -code in CRASHES)))

    def _report(self, message: dict[str, Any]) -> Report:
        if "machine" in message:
            return Ready(self._worker, message["machine"], message["host"])
        assert self._task is not None
        return Finished(self._worker, self._task, decode_outcome(message))

    def _how(self, code: int) -> str:
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        self._errors.seek(0, 2)
        self._errors.seek(max(0, self._errors.tell() - _STDERR_BYTES))
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return printable(redact(lines[-1].strip())) if lines else f"ended with exit code {code}"
