"""Commands for cameras, on their way from a sink's thread to the main thread."""

from __future__ import annotations

import threading
from collections import deque

import structlog

from ferstream.app.cameras import Cameras

MAX_COMMANDS = 1000
"""Commands that may wait; when more arrive, the oldest ones are dropped."""

_LOG = structlog.get_logger(__name__)


class Commands:
    """A bounded queue of commands: ``ON`` or ``OFF`` for one camera."""

    def __init__(self, *, wake: threading.Event) -> None:
        """Make an empty queue; ``wake`` is set whenever a command arrives."""
        self._wake = wake
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_COMMANDS)

    def put(self, camera: str, payload: bytes) -> None:
        """Queue a command for the main thread; any thread."""
        self._waiting.append((camera, payload))
        self._wake.set()

    def run(self, cameras: Cameras) -> None:
        """Carry out the commands that wait; main thread only."""
        while self._waiting:
            camera, payload = self._waiting.popleft()
            text = payload.strip().upper()
            if text in {b"ON", b"OFF"}:
                cameras.switch(camera, on=text == b"ON")
            else:
                _LOG.warning("a command is neither ON nor OFF", camera=camera, length=len(payload))
