"""One viewer: the messages that wait for one open stream. Only the event loop of the HTTP server calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ferstream.web.messages import FRAME, KEEP_ALIVE, LiveMessage


class Viewer:
    """Holds the newest message of each kind and camera until the stream takes them, so that nothing grows however slow it is.

    Args:
        cameras: Names of the cameras it looks at; None for all.
        on_sent: Called with the kind of each message that the stream took.
        on_skipped: Called with the camera of a frame that was replaced by a newer one before the stream took it.
    """

    def __init__(self, cameras: Iterable[str] | None, *, on_sent: Callable[[str], None], on_skipped: Callable[[str], None]) -> None:
        self.cameras = None if cameras is None else frozenset(cameras)
        self._on_sent, self._on_skipped = on_sent, on_skipped
        self._waiting: dict[tuple[str, str], LiveMessage] = {}
        self._changed = asyncio.Event()
        self._closed = False
        self._on_close: Callable[[], None] = lambda: None

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        return len(self._waiting)

    def looks_at(self, camera: str) -> bool:
        """Whether messages about this camera are for it; those about all cameras are."""
        return not camera or self.cameras is None or camera in self.cameras

    def put(self, message: LiveMessage) -> None:
        """Add a message in the place of an older one of its kind and camera."""
        if self._waiting.pop(message.key, None) is not None and message.kind == FRAME:
            self._on_skipped(message.camera)
        self._waiting[message.key] = message
        self._changed.set()

    def call_at_close(self, on_close: Callable[[], None]) -> None:
        """Call a function at the end, at once if it has come."""
        self._on_close = on_close
        if self._closed:
            on_close()

    def close(self) -> None:
        """End the stream."""
        if not self._closed:
            self._closed = True
            self._changed.set()
            self._on_close()

    async def take(self, keep_alive_s: float) -> bytes | None:
        """Wait for messages and return them all as one piece; a comment if none came in time; None at the end.

        Args:
            keep_alive_s: Longest wait in seconds.
        """
        try:
            async with asyncio.timeout(keep_alive_s):
                await self._changed.wait()
        except TimeoutError:
            return KEEP_ALIVE
        if self._closed:
            return None
        self._changed.clear()
        messages, self._waiting = self._waiting, {}
        for message in messages.values():
            self._on_sent(message.kind)
        return b"".join(message.data for message in messages.values())
