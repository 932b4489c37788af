"""``ferstream archive plan``: finds the recordings of an archive and decides where they are cut."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.archive.plan import Plan, PlannedRecording
    from ferstream.archive.planning.planner import PlanHooks, Planned, PlanOptions

CHUNK_S = 60.0
"""Length of a chunk in seconds, where nothing else is asked for."""
_MOST_LINES = 20
"""Most files that are named one by one."""


def plan(  # noqa: PLR0913, PLR0917 (the options of the command)
    sources: list[str] = typer.Argument(metavar="SOURCES", help="Recordings: files; folders; 'clips/*.mp4'."),
    out: str = typer.Option(..., "--out", metavar="DIR", help="Folder of the archive; it is made."),
    chunk_s: float = typer.Option(CHUNK_S, "--chunk-s", min=1.0, max=86_400.0, help="Seconds of video that a worker gets at a time."),
    config: Path | None = typer.Option(None, "-c", "--config", metavar="FILE", help="Settings file."),
    model: str | None = typer.Option(None, "--model", help="Name, name/version or folder of a model bundle."),
    fps: float = typer.Option(0.0, "--fps", min=0.0, help="Frames to analyse per second of media time; 0 = every frame."),
    camera: str | None = typer.Option(
        None, "--camera", metavar="NAME", help="The camera of the settings that made the recordings: its masks apply."
    ),
    start: str | None = typer.Option(None, "--start", metavar="TIME", help="When the recording began, ISO 8601 with its zone; for one."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print neither progress nor summary."),
) -> None:
    """Find the recordings and decide where they are cut; ferstream archive run analyses them then.

    Recordings are cut at key frames, if their format gives exactly the same pictures from there: mp4, mov, mkv, webm and flv. The others
    are analysed by one worker each. Nothing but the first picture of each is decoded. Folders, patterns and names are those of
    ferstream replay.

    The same command on a folder that has this plan keeps what is analysed. Exit status: 0 all is planned, 3 files were left out.
    """
    from ferstream.archive.planning.planner import PlanOptions
    from ferstream.errors import ExitCode
    from ferstream.logs import configure_logging

    configure_logging(level="warning", format="console")
    options = PlanOptions(
        sources=tuple(sources), chunk_s=chunk_s, config=config, model=model, fps=fps, camera=camera, start_ns=start_ns(start)
    )
    if plan_and_show(out, options, quiet=quiet).plan.left_out:
        raise typer.Exit(int(ExitCode.SOURCE))


def start_ns(text: str | None) -> int | None:
    """Return the time of ``--start`` in UTC nanoseconds since 1970; None without one."""
    from ferstream.capture.creation_time import start_time_ns

    return None if text is None else start_time_ns(text, name="--start")


def plan_and_show(out: str, options: PlanOptions, *, quiet: bool) -> Planned:
    """Plan an archive, and show how far it is and what came of it.

    Args:
        out: The archive.
        options: The options.
        quiet: Whether only files that are left out are named.

    Raises:
        FerstreamError: It cannot be planned.
    """
    from ferstream.archive.planning.planner import make_plan
    from ferstream.archive.storage.stores import open_store

    with PlanProgress(quiet=quiet) as progress:
        planned = make_plan(open_store(out), options, progress.hooks)
    lines = left_out_lines(planned.plan) if quiet else summary(planned)
    for line in lines:
        print(line, file=sys.stderr)
    return planned


class PlanProgress:
    """Shows on a terminal how many recordings are planned."""

    def __init__(self, *, quiet: bool) -> None:
        """Show nothing yet.

        Args:
            quiet: Whether nothing is shown.
        """
        self._is_shown = not quiet and sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._stack = ExitStack()

    @property
    def hooks(self) -> PlanHooks:
        """What planning calls."""
        from ferstream.archive.planning.planner import PlanHooks

        return PlanHooks(on_found=self._on_found, on_recording=self._on_recording)

    def __enter__(self) -> PlanProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _on_found(self, count: int) -> None:
        if self._is_shown:
            self._bar = self._stack.enter_context(_bar())
            self._task = self._bar.add_task("planning", total=count)

    def _on_recording(self, recording: PlannedRecording) -> None:
        if self._bar is not None:
            self._bar.advance(self._task)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("recordings"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def summary(planned: Planned) -> list[str]:
    """Return what was planned, for people."""
    plan = planned.plan
    hours = sum(recording.duration_s for recording in plan.recordings) / 3600
    state = "planned before, and not changed: " if planned.was_there else ""
    lines = [f"{state}{_count(len(plan.recordings), 'recording')}, {hours:,.2f} hours, {_count(plan.chunks, 'chunk')}"]
    reasons = Counter(recording.undivided for recording in plan.recordings if not recording.is_divided)
    if reasons:
        lines.append(f"{sum(reasons.values()):,} not divided, so each is analysed by one worker:")
        lines += [f"  {count:,}: {reason}" for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))]
    return lines + left_out_lines(plan)


def left_out_lines(plan: Plan) -> list[str]:
    """Return which files are left out, for people."""
    lines = [f"left out: {left.path}: {left.reason}" for left in plan.left_out[:_MOST_LINES]]
    more = len(plan.left_out) - len(lines)
    return [*lines, f"left out: {more:,} more; plan.json names them"] if more else lines


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
