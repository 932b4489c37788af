"""Vouches for the process only while every stage makes progress.

The usual watchdog pings from a timer and so proves that the timer works. This one looks at the
stages' beats first; when one is stale it keeps silent, writes the stack of every thread to the
log (no variables, so no pixels and no secrets) and reports the stage, so that the process can
leave with a failure and be started afresh. systemd's own limit is the second line of defence,
for the case that not even this thread runs.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType

from ferstream.errors import ShutdownError
from ferstream.runtime.clock import Clock, SystemClock
from ferstream.telemetry.health import Heartbeats

_LOG = logging.getLogger(__name__)
_MAX_FRAMES = 40
_OVERSLEPT = 3.0


class Watchdog:
    """One thread that looks at the beats every ``interval_s``.

    Args:
        heartbeats: Tells which stages are stale; its limit is the time within which a stuck stage is found.
        interval_s: Time between looks; at most half of systemd's limit.
        on_alive: Called after every look at which all was well, e.g. ``Notifier.watchdog``.
        on_stuck: Called with the stage that stood still the longest, once per standstill.
        clock: Time source.
    """

    def __init__(
        self,
        *,
        heartbeats: Heartbeats,
        interval_s: float,
        on_alive: Callable[[], object],
        on_stuck: Callable[[str], object],
        clock: Clock | None = None,
    ) -> None:
        if interval_s <= 0:
            raise ValueError(f"want interval_s > 0, got {interval_s}")
        self._heartbeats, self._interval_s = heartbeats, interval_s
        self._on_alive, self._on_stuck = on_alive, on_stuck
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._reported = False
        self._looked_ns = self._clock.monotonic_ns()
        self._not_before_ns = 0

    def start(self) -> None:
        """Begin to look; once."""
        self._looked_ns = self._clock.monotonic_ns()
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; more than once is fine.

        Raises:
            ShutdownError: The thread outlived ``timeout_s``.
        """
        self._stop.set()
        if self._thread.ident is None:
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise ShutdownError(f"the watchdog did not stop within {timeout_s:g} s")

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def look(self) -> bool:
        """Look once; True if every stage makes progress. The thread calls it, tests may."""
        now = self._clock.monotonic_ns()
        if now - self._looked_ns > self._interval_s * _OVERSLEPT * 1e9:
            # This thread stood still as well, so the whole process was stopped (SIGSTOP, a paused
            # virtual machine): the stages get their full time again before they are judged.
            self._not_before_ns = now
        self._looked_ns = now
        stale = self._heartbeats.stale(not_before_ns=self._not_before_ns)
        if stale:
            self._report(stale)
            return False
        self._reported = False
        self._on_alive()
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.look()

    def _report(self, stale: dict[str, float]) -> None:
        if self._reported:
            return
        self._reported = True
        stage, age = next(iter(stale.items()))
        _LOG.critical(
            "stage %s made no progress for %.1f s (stale: %s); stacks of all threads:\n%s", stage, age, ", ".join(stale), format_stacks()
        )
        self._on_stuck(stage)


def format_stacks() -> str:
    """The stack of every thread, innermost call last: file, line and function, no source and no variables.

    Source lines are left out because reading them may hang on the very disk that hangs the stage.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = sorted(
        ((names.get(ident, f"unnamed {ident}"), frame) for ident, frame in sys._current_frames().items()), key=lambda pair: pair[0]
    )
    return "\n".join(f"thread {name}:\n{_format_stack(frame)}" for name, frame in stacks)


def _format_stack(frame: FrameType | None) -> str:
    lines: list[str] = []
    while frame is not None and len(lines) < _MAX_FRAMES:
        code = frame.f_code
        lines.append(f"  {code.co_filename}:{frame.f_lineno} in {code.co_qualname}")
        frame = frame.f_back
    return "\n".join(reversed(lines))
