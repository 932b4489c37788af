"""One camera runner over scripted sources, and everything that came out of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from ferstream.capture.limits import Timings
from ferstream.capture.source import Source
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.domain.frame import Frame
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import Clock
from ferstream.runtime.counters import Counters
from tests.support.clock import FakeClock
from tests.support.runners import PATIENCE_S
from tests.support.sources import ScriptedSource
from tests.support.threads import wait_until

PATIENT = Timings(grace_s=PATIENCE_S, stop_grace_s=PATIENCE_S)
"""Time limits at which a busy machine abandons no thread."""


class CountingClock(FakeClock):
    """A clock moved by hand that counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self._reads = 0

    def monotonic_ns(self) -> int:
        """Nanoseconds as set."""
        self._reads += 1
        return super().monotonic_ns()

    def advance_and_wait(self, seconds: float) -> None:
        """Advance, and wait until the watching thread has checked its session again."""
        self.advance(seconds)
        before = self._reads
        wait_until(lambda: self._reads > before + 10)  # a check reads the clock two or three times


class ScriptedCamera:
    """Runs camera ``door``.

    Args:
        sources: What each connection gets, an error to raise or a source; afterwards sources that wait to be closed.
        live: Whether the camera connects again.
        timings: Time limits.
        emit: Called with each frame before it is kept.
        clock: The clocks of the runner; None for those of the machine.
    """

    def __init__(
        self,
        sources: Iterable[Source | BaseException],
        *,
        live: bool = True,
        timings: Timings = PATIENT,
        emit: Callable[[Frame], None] = lambda frame: None,
        clock: Clock | None = None,
    ) -> None:
        self.counters = Counters()
        self.frames: list[Frame] = []
        self.states: list[CameraState] = []
        self.fatal: list[BaseException] = []
        self.ended = threading.Event()
        self._sources, self._before = iter(sources), emit
        self.runner = CameraRunner(
            camera="door",
            connect=self._connect,
            live=live,
            callbacks=RunnerCallbacks(
                emit=self._emit,
                on_state=self.states.append,
                on_end=self.ended.set,
                on_fatal=lambda name, exc: self.fatal.append(exc),
            ),
            observer=self.counters,
            clock=clock,
            backoff=Backoff(floor_s=0.001, cap_s=0.002, rng=random.Random(1)),
            timings=timings,
        )

    def _connect(self) -> Source:
        source = next(self._sources, None)
        if source is None:
            return ScriptedSource(linger=True)
        if isinstance(source, BaseException):
            raise source
        return source

    def _emit(self, frame: Frame) -> None:
        self._before(frame)
        self.frames.append(frame)

    @property
    def statuses(self) -> list[CameraStatus]:
        """Every status so far, in order."""
        return [state.status for state in self.states]

    def start(self) -> ScriptedCamera:
        """Start the runner."""
        self.runner.start()
        return self

    def finish(self) -> ScriptedCamera:
        """Stop the runner and wait for its end."""
        self.runner.stop()
        return self.wait_for_end()

    def until(self, is_so: Callable[[], bool]) -> ScriptedCamera:
        """Wait until something is true."""
        wait_until(is_so)
        return self

    def wait_for_end(self) -> ScriptedCamera:
        """Wait until the runner has ended by itself."""
        assert self.ended.wait(PATIENCE_S)
        assert self.runner.join(PATIENCE_S)
        return self


def timings(base: Timings = PATIENT, **changes: float) -> Timings:
    """Return time limits with some of them changed, in seconds."""
    return replace(base, **changes)
