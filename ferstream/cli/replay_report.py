"""What ``ferstream replay`` shows on stderr while it works: a bar on a terminal, and a line for each recording."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from ferstream.app.checkpoint import FinishedRecording
from ferstream.app.recordings import FoundRecordings
from ferstream.app.replay import Outcome, ReplayHooks, camera_name, shown_name


class ReplayReport:
    """Shows one replay; a context that ends the bars."""

    def __init__(self, *, quiet: bool) -> None:
        """Show nothing yet.

        Args:
            quiet: Whether only recordings with lost frames, and those that cannot be read, are named.
        """
        self._quiet = quiet
        self._bars: Any = None
        self._overall: Any = None
        self._tasks: dict[str, Any] = {}
        self._stack = ExitStack()
        self.lost = 0
        """Frames that were lost, those of an earlier process included."""
        self.unreadable = 0
        """Recordings of folders and patterns that cannot be read."""
        self.hooks = ReplayHooks(
            on_progress=self._on_progress, on_found=self._on_found, on_resumed=self._on_resumed, on_outcome=self._on_outcome
        )
        """What the replay calls."""

    def __enter__(self) -> ReplayReport:
        if not self._quiet and sys.stderr.isatty():
            self._bars = self._stack.enter_context(_bars())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _say(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        if self._bars is None:
            print(text, file=sys.stderr)
        else:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _on_found(self, found: FoundRecordings) -> None:
        for error in found.unreadable:
            self._say(f"left out: {error}")
        self.unreadable = len(found.unreadable)
        if self._bars is not None and len(found.recordings) > 1:
            self._overall = self._bars.add_task("recordings", total=len(found.recordings), unit="")

    def _on_resumed(self, finished: Sequence[FinishedRecording]) -> None:
        self.lost += sum(recording.lost for recording in finished)
        if self._overall is not None:
            self._bars.advance(self._overall, len(finished))
        if not self._quiet:
            self._say(f"{_count(len(finished))} finished before, going on" if finished else "nothing to go on with: beginning anew")

    def _on_progress(self, camera: str, done: int, total: int | None) -> None:
        if self._bars is None:
            return
        if camera not in self._tasks:
            self._tasks[camera] = self._bars.add_task(camera, total=total, unit="frames")
        self._bars.update(self._tasks[camera], completed=done, total=total)

    def _on_outcome(self, outcome: Outcome) -> None:
        self.lost += outcome.lost
        if self._overall is not None:
            self._bars.remove_task(self._tasks.pop(outcome.camera))
            self._bars.advance(self._overall)
        if self._quiet and not outcome.lost:
            return
        for line in _lines(outcome):
            self._say(line)


def _count(recordings: int) -> str:
    return "1 recording was" if recordings == 1 else f"{recordings} recordings were"


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


def _lines(outcome: Outcome) -> list[str]:
    """Return the summary of a recording."""
    labels = sorted(((n, label) for (_, label), n in outcome.snapshot.events.items()), reverse=True)
    shown = ", ".join(f"{label} {n}" for n, label in labels)
    lost = f", {outcome.lost} LOST" if outcome.lost else ""
    events = f"; {sum(n for n, _ in labels)} events: {shown}" if shown else ""
    if shown and outcome.left:
        events += f" ({outcome.left} of them repeat{'s' if outcome.left == 1 else ''} the last label of a track that left)"
    named = "" if outcome.camera == camera_name(outcome.path) else f" (camera {outcome.camera})"
    lines = [f"{shown_name(outcome.path)}{named}: {outcome.frames} frames{lost}, {outcome.faces} faces{events}"]
    if outcome.info.choice:
        lines.append(f"  {outcome.info.choice}")
    return lines + [f"  {count} frames lost in {stage}: {reason}" for (_, stage, reason), count in outcome.snapshot.dropped.items()]
