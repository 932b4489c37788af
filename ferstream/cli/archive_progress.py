"""What ``ferstream archive run`` shows on stderr while it works: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from ferstream.archive.running.run_hooks import RunHooks, RunProgress

LINE_S = 30.0
"""Seconds between two lines where there is no terminal."""


class RunDisplay:
    """Shows one run; a context that ends the bar."""

    def __init__(self, *, quiet: bool) -> None:
        """Show nothing yet.

        Args:
            quiet: Whether nothing is shown but failures.
        """
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._next_line = time.monotonic() + LINE_S
        self._stack = ExitStack()
        self.hooks = RunHooks(on_progress=self._on_progress, on_notice=self._on_notice)
        """What the run calls."""

    def __enter__(self) -> RunDisplay:
        if not self._quiet and sys.stderr.isatty():
            self._bar = self._stack.enter_context(_bar())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _on_notice(self, text: str) -> None:
        if not self._quiet:
            self.say(text)

    def _on_progress(self, progress: RunProgress) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            self._update_bar(progress)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_S
            self.say(progress_line(progress))

    def _update_bar(self, progress: RunProgress) -> None:
        if self._task is None:
            self._task = self._bar.add_task("", total=max(1, progress.all_frames), text="")
        self._bar.update(self._task, completed=progress.frames, text=_details(progress))


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (BarColumn(bar_width=None), TaskProgressColumn(), TextColumn("{task.fields[text]}"))
    return Progress(*columns, console=Console(stderr=True), expand=True)


def progress_line(progress: RunProgress) -> str:
    """Return how far a run is, for people."""
    share = progress.frames / progress.all_frames if progress.all_frames else 1.0
    return f"{share:.1%}, {_details(progress)}"


def _details(progress: RunProgress) -> str:
    left = "" if progress.remaining_s is None else f", {duration(progress.remaining_s)} left"
    retries = f", {progress.retries:,} repeated" if progress.retries else ""
    return (
        f"{progress.recordings:,}/{progress.all_recordings:,} recordings, {progress.frames_per_s:,.0f} frames/s{left}, "
        f"{progress.alive}/{progress.workers} workers{retries}"
    )


def duration(seconds: float) -> str:
    """Return a duration for people: ``45 s``, ``12 min``, ``3.4 h``, ``2.1 days``."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
