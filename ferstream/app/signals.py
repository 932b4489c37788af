"""Signals become events: the first stop drains, the second leaves at once, SIGHUP asks for a reload."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ferstream.errors import ExitCode


class Signals:
    """What the process was asked to do; set by the main thread's handlers, awaited by the main loop."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.stop_asked = False
        self.reload_asked = False
        self.received: signal.Signals | None = None

    def on_stop(self, number: int, frame: FrameType | None) -> None:
        """First SIGTERM or SIGINT: drain. Second: leave at once, nothing is written any more."""
        if self.stop_asked:
            os._exit(ExitCode.INTERRUPTED)
        self.received = signal.Signals(number)
        self.stop_asked = True
        self.wake.set()

    def on_reload(self, number: int, frame: FrameType | None) -> None:
        """SIGHUP: read the settings again."""
        self.reload_asked = True
        self.wake.set()

    def stop(self) -> None:
        """Stop for a reason of our own."""
        self.stop_asked = True
        self.wake.set()

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
    """Set ``stop`` on SIGINT or SIGTERM while inside; a second one leaves at once."""
    signals = Signals()

    def on_stop(number: int, frame: FrameType | None) -> None:
        stop.set()
        signals.on_stop(number, frame)

    before = {number: signal.signal(number, on_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
