"""The real command in a process of its own: its settings, its log and its HTTP pages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

WAIT_S = 120.0
"""Longest wait in seconds for something that takes a second on an idle machine."""
FERSTREAM = [sys.executable, "-m", "ferstream"]


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without ferstream settings of this machine."""
    return {key: value for key, value in os.environ.items() if not key.startswith("FERSTREAM_")} | extra


def ferstream(*words: object, cwd: Path | None = None, timeout_s: float = 280.0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a ferstream command and wait for its end."""
    return subprocess.run(
        [*FERSTREAM, *map(str, words)], cwd=cwd, env=clean_environment(), text=True, capture_output=True, timeout=timeout_s, input=stdin
    )


class RunningDaemon:
    """``ferstream run`` with the given settings; a context manager that kills the process at its end."""

    def __init__(self, folder: Path, settings: str, *words: str, program: list[str] | None = None, **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.file = folder / "ferstream.toml"
        self._log = folder / "ferstream.log"
        self.write(settings)
        self._command = [*(program or FERSTREAM), "run", "-c", str(self.file), *words]
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, settings: str) -> None:
        """Replace the settings file; the HTTP port stays the same."""
        self.file.write_text(f'node = "edge-1"\n{settings}\n[http]\nlisten = "127.0.0.1:{self.port}"\n[log]\nformat = "json"\n')

    def __enter__(self) -> RunningDaemon:
        self.start()
        return self

    def start(self) -> None:
        """Start the process; again after it has ended."""
        with self._log.open("ab") as log:
            environment = clean_environment(**{"STATE_DIRECTORY": str(self.folder / "state")} | self._environment)
            # A session of its own, as a service has: the kernel shares time between sessions first, so that the workers for uploads, which
            # have a low priority, are not starved by the tests and loops beside it.
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        """Send a signal and wait; return the exit code."""
        self.send(number)
        assert self.process is not None
        return self.process.wait(timeout_s)

    @property
    def log(self) -> str:
        """The whole log."""
        return self._log.read_text(errors="replace")

    def metrics(self) -> dict[str, float]:
        """The samples of /metrics by name with labels; empty while the page is not available."""
        try:
            status, text = self.page("/metrics")
        except OSError:
            return {}
        if status != 200:  # too many requests
            return {}
        pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def page(self, path: str) -> tuple[int, str]:
        """HTTP status and text of a page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def wait_metrics(self, ready: Callable[[Mapping[str, float]], bool], timeout_s: float = WAIT_S) -> dict[str, float]:
        """Poll the metrics until they satisfy ``ready``."""
        deadline, pause = time.monotonic() + timeout_s, threading.Event()
        while True:
            metrics = self.metrics()
            if metrics and ready(metrics):
                return metrics
            assert self.process is not None
            assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}:\n{self.log[-3000:]}"
            assert time.monotonic() < deadline, f"the metrics did not satisfy the condition:\n{self.log[-3000:]}"
            pause.wait(0.12)

    def wait_log(self, words: str, timeout_s: float = WAIT_S) -> None:
        """Poll the log until it contains the words."""
        deadline, pause = time.monotonic() + timeout_s, threading.Event()
        while words not in self.log:
            assert time.monotonic() < deadline, f"the log does not contain {words!r}:\n{self.log[-3000:]}"
            pause.wait(0.05)

    def wait_frames(self, camera: str, count: int = 1) -> dict[str, float]:
        """Wait until ``count`` frames of a camera were analysed."""
        name = f'ferstream_frames_total{{camera="{camera}",stage="publishing"}}'
        return self.wait_metrics(lambda metrics: metrics.get(name, 0) >= count)


def json_lines(text: str) -> list[dict[str, Any]]:
    """Decode one JSON object on each line."""
    return [json.loads(line) for line in text.splitlines()]
