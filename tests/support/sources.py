"""Scripted sources: frames, errors and waits in a given order; and reading a source to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from ferstream.capture.source import Source, SourceInfo
from ferstream.domain.frame import Frame
from tests.support.builders import frame
from tests.support.runners import PATIENCE_S

INFO = SourceInfo(width=64, height=48, fps=25.0, frames=None, duration_s=None, codec="scripted (gray)")

Step = Frame | BaseException | Callable[[], None]
"""A step of a script: a frame is yielded, an error is raised, a function is called (it may wait)."""


class ScriptedSource:
    """Implements ``Source`` by a script.

    Args:
        steps: What ``frames`` does, in order.
        opening: What ``open`` raises or calls.
        linger: Whether ``frames`` waits to be closed after the last step, instead of ending.
    """

    def __init__(
        self,
        steps: Sequence[Step] = (),
        *,
        opening: BaseException | Callable[[], None] | None = None,
        linger: bool = False,
    ) -> None:
        self._steps, self._opening, self._linger = steps, opening, linger
        self._closed = threading.Event()
        self.closes = 0
        self.last_activity_ns = 0

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed.is_set()

    def open(self) -> SourceInfo:
        """Raise or call ``opening``."""
        if isinstance(self._opening, BaseException):
            raise self._opening
        if self._opening is not None:
            self._opening()
        return INFO

    def frames(self) -> Iterator[Frame]:
        """Play the steps."""
        for step in self._steps:
            if self.closed:
                return
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, Frame):
                yield step
            else:
                step()
        if self._linger:
            self._closed.wait(PATIENCE_S)

    def close(self) -> None:
        """Count the call, and end ``frames``."""
        self.closes += 1
        self._closed.set()


class Hang:
    """A native call that ``close`` does not end; ``release`` ends it, so that the test leaves no thread."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released = threading.Event()

    def __call__(self) -> None:
        """Wait for ``release``."""
        self.reached.set()
        self._released.wait(PATIENCE_S)

    def release(self) -> None:
        """End the call."""
        self._released.set()


def some_frames(count: int, *, live: bool = True, first: int = 0) -> list[Frame]:
    """Return ``count`` frames, numbered from ``first``."""
    return [frame(index, live=live) for index in range(first, first + count)]


def frames_of(source: Source) -> list[Frame]:
    """Open a source, read all its frames, and close it."""
    source.open()
    frames = list(source.frames())
    source.close()
    return frames
