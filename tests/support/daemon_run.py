"""A daemon in this process: it runs in the calling thread, the steps of the test in another one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from ferstream.app.daemon import Daemon, DaemonTimings
from ferstream.app.running import Running
from ferstream.app.signals import Signals
from ferstream.errors import ExitCode
from ferstream.settings import Settings
from tests.support.runners import PATIENCE_S
from tests.support.threads import Task

QUICK = DaemonTimings(poll_s=0.01, status_s=0.01, give_back_s=3600.0, abort_s=0.2)

Steps = Callable[[Running, Signals], None]


class DaemonRun:
    """Runs a daemon until the steps of a test are done; main thread only.

    Attributes:
        daemon: The daemon.
        running: What runs; None before the start is complete.
    """

    def __init__(self, settings: Settings, *, timings: DaemonTimings = QUICK, **options: Any) -> None:
        """Prepare a daemon; ``options`` are those of ``Daemon``."""
        self._task: Task[None] | None = None
        self._steps: Steps = lambda running, signals: None
        self.running: Running | None = None
        self.daemon = Daemon(settings, timings=timings, on_running=self._on_running, **options)

    def run(self, steps: Steps | None = None, *, stop: bool = True) -> ExitCode:
        """Run the daemon, and the steps once it runs; return its exit code, or raise what the steps or the daemon raised.

        Args:
            steps: Called with what runs and the signals of the daemon, from a thread of its own.
            stop: Whether the daemon gets SIGTERM when the steps are done; else it must end by itself.
        """

        def then_stop(running: Running, signals: Signals) -> None:
            try:
                if steps is not None:
                    steps(running, signals)
            except BaseException:
                _terminate(signals)
                raise
            if stop:
                _terminate(signals)

        self._steps = then_stop
        try:
            return self.daemon.run()
        finally:
            if self.running is not None:
                self.running.pipeline.stop(timeout_s=PATIENCE_S)  # a daemon whose stage is stuck stops nothing
            if self._task is not None:
                self._task.result()

    def _on_running(self, running: Running) -> None:
        self.running = running
        self._task = Task(lambda: self._steps(running, self.daemon.signals))


def _terminate(signals: Signals) -> None:
    """Do what the handler of SIGTERM does; a real signal could come after the daemon's end, and end the tests."""
    if not signals.stop_asked:
        signals.on_stop(signal.SIGTERM, None)
