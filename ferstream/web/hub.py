"""Who looks at which camera, and the way of messages from the thread that encodes them to the streams of the viewers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from ferstream.runtime.observer import Observer
from ferstream.web.messages import LiveMessage
from ferstream.web.viewer import Viewer

MAX_VIEWERS = 32
"""Streams that may be open at once."""
SENT = "live_messages"
"""Counter of the messages that streams took, by kind."""
SKIPPED = "live_frames_skipped"
"""Counter of the frames that a stream was too slow for, by camera."""


class Hub:
    """The viewers. ``join`` and ``leave`` are for the event loop of the HTTP server, the rest for any thread.

    Between the threads the newest message of each kind and camera waits, so that a busy event loop gathers no queue either.

    Args:
        observer: Counts messages.
        max_viewers: Streams that may be open at once.
    """

    def __init__(self, *, observer: Observer, max_viewers: int = MAX_VIEWERS) -> None:
        self._observer, self._max_viewers = observer, max_viewers
        self._lock = threading.Lock()
        self._viewers: tuple[Viewer, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._all_wanted = False
        self._wanted: Collection[str] = frozenset()
        self._waiting: dict[tuple[str, str], LiveMessage] = {}
        self._closed = False

    @property
    def viewers(self) -> int:
        """Open streams."""
        return len(self._viewers)

    @property
    def has_room(self) -> bool:
        """Whether one more viewer may join."""
        return not self._closed and len(self._viewers) < self._max_viewers

    def wants(self, camera: str) -> bool:
        """Whether somebody looks at this camera."""
        return self._all_wanted or camera in self._wanted

    def join(self, cameras: Iterable[str] | None) -> Viewer:
        """Add a viewer; ``leave`` follows, whatever happens.

        Args:
            cameras: Names of the cameras it looks at; None for all.
        """
        viewer = Viewer(
            cameras,
            on_sent=lambda kind: self._observer.count(SENT, kind),
            on_skipped=lambda camera: self._observer.count(SKIPPED, camera),
        )
        self._loop = asyncio.get_running_loop()
        with self._lock:
            self._set_viewers((*self._viewers, viewer))
            if self._closed:
                viewer.close()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer."""
        with self._lock:
            self._set_viewers(tuple(other for other in self._viewers if other is not viewer))

    def send(self, message: LiveMessage) -> None:
        """Give a message to all viewers of its camera."""
        with self._lock:
            if not self._viewers or self._loop is None:
                return
            was_empty = not self._waiting
            self._waiting.pop(message.key, None)
            self._waiting[message.key] = message
        if was_empty:
            self._call(self._deliver)

    def close(self) -> None:
        """End all streams; no viewer can join any more."""
        with self._lock:
            self._closed = True
        self._call(self._close_viewers)

    def _set_viewers(self, viewers: tuple[Viewer, ...]) -> None:
        self._viewers = viewers
        self._all_wanted = any(viewer.cameras is None for viewer in viewers)
        self._wanted = frozenset(camera for viewer in viewers for camera in viewer.cameras or ())
        if not viewers:
            self._waiting.clear()

    def _deliver(self) -> None:
        with self._lock:
            messages, self._waiting = self._waiting, {}
        for message in messages.values():
            for viewer in self._viewers:
                if viewer.looks_at(message.camera):
                    viewer.put(message)

    def _close_viewers(self) -> None:
        for viewer in self._viewers:
            viewer.close()

    def _call(self, function: Callable[[], None]) -> None:
        """Call a function in the event loop; nothing happens before the first viewer came or after the loop ended."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function)
