"""Signals become events: the first stop drains, the second leaves at once, SIGHUP asks for a reload.

A handler runs between two instructions of the main thread, which may hold any lock just then, that of an Event it
waits on included. So handlers take no lock: they set plain flags that the main loop looks at several times a second.
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
    """What the process was asked to do; set by the main thread's handlers, awaited by the main loop."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        """Set by other threads that have work for the main loop; never by a handler."""
        self.stop_asked = False
        self.reload_asked = False
        self.received: signal.Signals | None = None

    def on_stop(self, number: int, frame: FrameType | None) -> None:
        """First SIGTERM or SIGINT: drain. Second: leave at once, nothing is written any more."""
        if self.stop_asked:
            os._exit(ExitCode.INTERRUPTED)
        self.received = signal.Signals(number)
        self.stop_asked = True

    def on_reload(self, number: int, frame: FrameType | None) -> None:
        """SIGHUP: read the settings again."""
        self.reload_asked = True

    def take_reload(self) -> bool:
        """Whether a reload was asked for since the last call."""
        asked, self.reload_asked = self.reload_asked, False
        return asked


@contextmanager
def handled(signals: Signals) -> Iterator[Signals]:
    """Handle SIGTERM, SIGINT and SIGHUP while inside; main thread only."""
    handlers = {signal.SIGTERM: signals.on_stop, signal.SIGINT: signals.on_stop, signal.SIGHUP: signals.on_reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` on SIGINT or SIGTERM while inside, from a thread of its own; a second one leaves at once."""
    signals = Signals()
    asked: SimpleQueue[bool] = SimpleQueue()  # whose put() is made for signal handlers

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
