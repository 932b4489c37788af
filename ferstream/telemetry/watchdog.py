"""Reports a stage that makes no progress, and resets systemd's watchdog only while all stages do.

A watchdog that is reset by a timer proves only that the timer works. This one reads the heartbeats of the stages first.
When one is stale it does not reset systemd's timer, logs the stack of every thread (without variables, so without pixels
and secrets) and reports the stage; the process then exits with a failure and is restarted. systemd's own limit covers
the case that this thread does not run either.
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
"""Intervals between two checks above which the process counts as having been suspended."""


class Watchdog:
    """Checks the heartbeats every ``interval_s`` seconds, in the thread ``watchdog``.

    Args:
        heartbeats: Finds stale stages; its limit is the time within which a stuck stage is found.
        interval_s: Seconds between two checks; at most half of systemd's limit.
        on_alive: Called after each check without a stale stage, e.g. ``Notifier.watchdog``.
        on_stuck: Called with the name of the stage that is stale the longest, once per standstill.
        clock: Monotonic time.
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
        self._checked_ns = self._clock.monotonic_ns()
        self._not_before_ns = 0

    def start(self) -> None:
        """Start the thread; once."""
        self._checked_ns = self._clock.monotonic_ns()
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; more than one call is allowed.

        Raises:
            ShutdownError: The thread still runs after ``timeout_s`` seconds.
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

    def check(self) -> bool:
        """Check once; return True if every stage makes progress. Called by the thread, and by tests."""
        now = self._clock.monotonic_ns()
        if now - self._checked_ns > self._interval_s * _OVERSLEPT * 1e9:
            # This thread did not run either, so the whole process was suspended (SIGSTOP, a paused virtual machine):
            # the age of the heartbeats is counted from now on.
            self._not_before_ns = now
        self._checked_ns = now
        stale = self._heartbeats.stale(not_before_ns=self._not_before_ns)
        if stale:
            self._report(stale)
            return False
        self._reported = False
        self._on_alive()
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.check()

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
    """Return the stack of every thread, innermost call last: file, line and function, without source and variables.

    Source lines are left out because reading them could hang on the same disk as the stage.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 (the documented name of this function)
    stacks = sorted(((names.get(ident, f"unnamed {ident}"), frame) for ident, frame in frames.items()), key=lambda pair: pair[0])
    return "\n".join(f"thread {name}:\n{_format_stack(frame)}" for name, frame in stacks)


def _format_stack(frame: FrameType | None) -> str:
    lines: list[str] = []
    while frame is not None and len(lines) < _MAX_FRAMES:
        code = frame.f_code
        lines.append(f"  {code.co_filename}:{frame.f_lineno} in {code.co_qualname}")
        frame = frame.f_back
    return "\n".join(reversed(lines))
