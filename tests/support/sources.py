"""A camera whose whole life is written down: what each step does, and where it hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from ferstream.capture.source import SourceInfo
from ferstream.domain.frame import Frame
from tests.support.builders import frame
from tests.support.runners import PATIENCE_S

INFO = SourceInfo(width=64, height=48, fps=25.0, frames=None, duration_s=None, codec="scripted (gray)")

Step = Frame | BaseException | Callable[[], None]
"""A frame is yielded, an error raised, anything else called (it may wait)."""


class ScriptedSource:
    """Implements ``Source``: plays ``steps``, then ends, or with ``linger`` waits to be closed."""

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
        """Open as written."""
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
        """Remember it, and end what lingers."""
        self.closes += 1
        self._closed.set()


class Hang:
    """A native call that ``close`` does not end; ``release`` lets it go, so that the test leaves no thread."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released = threading.Event()

    def __call__(self) -> None:
        """Hang."""
        self.reached.set()
        self._released.wait(PATIENCE_S)

    def release(self) -> None:
        """Return at last."""
        self._released.set()


def some_frames(count: int, *, live: bool = True, first: int = 0) -> list[Frame]:
    """Frames numbered from ``first``."""
    return [frame(index, live=live) for index in range(first, first + count)]
