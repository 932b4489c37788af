"""Sinks that keep what they are given and record the calls of their life."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus


class RecordingSink:
    """Keeps its messages; fails or waits where the test says.

    Attributes:
        messages: The messages, in order.
        log: One entry for each ``open``, ``flush`` and ``close``, shared by several sinks if the test wants their order.
        open_error: Raised by ``open``; ``write_error`` and ``close_error`` in the same way.
        unflushed: Returned by ``flush``.
        connected: Part of the status.
        before_write: Called at the start of each ``write``; may wait. ``before_close`` in the same way.
        written: Set by the first message.
    """

    def __init__(self, name: str = "recording", *, log: list[str] | None = None) -> None:
        self.name, self.messages = name, list[Message]()
        self.log: list[str] = log if log is not None else []
        self.open_error: Exception | None = None
        self.write_error: Exception | None = None
        self.close_error: Exception | None = None
        self.unflushed = 0
        self.connected: bool | None = True
        self.before_write: Callable[[], object] = lambda: None
        self.before_close: Callable[[], object] = lambda: None
        self.written = threading.Event()

    def open(self) -> None:
        """Record the call."""
        self.log.append(f"open {self.name}")
        if self.open_error is not None:
            raise self.open_error

    def write(self, message: Message) -> None:
        """Keep the message."""
        self.before_write()
        if self.write_error is not None:
            raise self.write_error
        self.messages.append(message)
        self.written.set()

    def flush(self, timeout_s: float) -> int:
        """Record the call."""
        self.log.append(f"flush {self.name}")
        return self.unflushed

    def close(self) -> None:
        """Record the call."""
        self.before_close()
        self.log.append(f"close {self.name}")
        if self.close_error is not None:
            raise self.close_error

    def status(self) -> SinkStatus:
        """Return its name and ``connected``."""
        return SinkStatus(self.name, self.connected, "" if self.connected is not False else "refused")


class CameraSink(RecordingSink):
    """Records cameras that are added and removed too."""

    def forget_camera(self, camera: str) -> None:
        """Record the call."""
        self.log.append(f"forget {camera}")

    def remember_camera(self, camera: str) -> None:
        """Record the call."""
        self.log.append(f"remember {camera}")
