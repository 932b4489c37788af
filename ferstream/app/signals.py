"""Signals of the process as flags: the first stop drains the pipeline, the second ends the process at once, SIGHUP reloads.

A handler runs between two instructions of the main thread, which may hold any lock at that moment, even the lock of
an Event it waits for. Handlers therefore take no lock: they set plain flags, which the main loop reads several times
a second.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

from ferstream.errors import ExitCode


class Signals:
    """What the process was asked to do; the handlers of the main thread write it, the main loop reads it."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        """Set by other threads that have work for the main loop, never by a handler."""
        self.stop_asked = False
        self.reload_asked = False
        self.received: signal.Signals | None = None

    def on_stop(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM and SIGINT. The first asks for a stop; the second ends the process without writing anything."""
        if self.stop_asked:
            os._exit(ExitCode.INTERRUPTED)
        self.received = signal.Signals(number)
        self.stop_asked = True

    def on_reload(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGHUP: ask for a reload of the settings."""
        self.reload_asked = True

    def take_reload(self) -> bool:
        """Return whether a reload was asked for since the last call."""
        asked, self.reload_asked = self.reload_asked, False
        return asked


@contextmanager
def handled(signals: Signals) -> Iterator[Signals]:
    """Handle SIGTERM, SIGINT and SIGHUP inside the block; main thread only."""
    handlers = {signal.SIGTERM: signals.on_stop, signal.SIGINT: signals.on_stop, signal.SIGHUP: signals.on_reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` on SIGINT or SIGTERM inside the block; a second signal ends the process at once. Main thread only.

    The event is set by a thread of its own, because a handler may take no lock.
    """
    signals = Signals()
    asked: SimpleQueue[bool] = SimpleQueue()  # its put() may be called in a signal handler

    def relay() -> None:
        if asked.get():
            stop.set()

    def on_stop(number: int, frame: FrameType | None) -> None:
        signals.on_stop(number, frame)
        asked.put(True)

    thread = threading.Thread(target=relay, name="signals", daemon=True)
    thread.start()
    before = {number: signal.signal(number, on_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(False)
        thread.join()
