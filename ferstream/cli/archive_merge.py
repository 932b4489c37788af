"""``ferstream archive merge``: makes events, tables and the summary of an archive from the results of its chunks."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.archive.merging.merge import MergeHooks, MergeOptions, MergeReport
    from ferstream.archive.merging.recording_merge import Merged
    from ferstream.archive.plan import Plan, PlannedRecording


def merge(
    archive: str = typer.Argument(metavar="DIR", help="The archive: the folder, or the URL, that archive plan made."),
    events: Path | None = typer.Option(None, "--events", metavar="FOLDER", help="Write the JSON lines of replay, FOLDER/CAMERA.jsonl."),
    tables: bool | None = typer.Option(
        None, "--tables/--no-tables", help="Write Parquet files and the summary, in the archive.", show_default="if pyarrow is installed"
    ),
    workers: int | None = typer.Option(
        None, "--workers", min=1, metavar="N", help="Recordings to merge at the same time, each in a process; default: as many as cores."
    ),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print neither progress nor summary."),
) -> None:
    """Merge the results of an archive into events, tables and a summary by minute.

    Faces are tracked, labels are smoothed and events are numbered here, in the order of the recordings: the events are those of
    ferstream replay over the same recordings, byte for byte. No model is loaded.

    The archive then has events/ and tracks/ (Parquet, by camera and date), summary.parquet, and README.md with queries.
    Recordings that are merged already are not merged again, so the same command goes on after an interruption.

    Exit status: 0 all is merged, 2 not all recordings are analysed yet, 3 a recording could not be analysed, 6 results are damaged and
    must be made again, 75 frames were lost.
    """
    from ferstream.archive.merging.merge import MergeOptions
    from ferstream.logs import configure_logging

    configure_logging(level="warning", format="console")
    merge_and_report(MergeOptions(archive=archive, events=events, tables=tables, workers=workers), quiet=quiet)


def merge_and_report(options: MergeOptions, *, quiet: bool) -> None:
    """Merge an archive and say what came of it.

    Args:
        options: What to do.
        quiet: Whether only recordings that failed or lost frames are named.

    Raises:
        typer.Exit: A recording could not be analysed, or frames were lost.
    """
    from ferstream.archive.merging.merge import merge_archive
    from ferstream.errors import ExitCode

    with MergeProgress(quiet=quiet) as progress:
        report = merge_archive(options, progress.hooks)
        progress.end(options, report)
    if report.failed or report.left_out:
        raise typer.Exit(int(ExitCode.SOURCE))
    if report.lost:
        raise typer.Exit(int(ExitCode.FRAMES_LOST))


class MergeProgress:
    """Shows a merge on stderr: a bar on a terminal, and a line for each recording that failed or lost frames."""

    def __init__(self, *, quiet: bool) -> None:
        """Show nothing yet.

        Args:
            quiet: Whether only recordings that failed or lost frames are named.
        """
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._frames = 0
        self._merging: dict[int, int] = {}
        self._stack = ExitStack()

    @property
    def hooks(self) -> MergeHooks:
        """What the merge calls."""
        from ferstream.archive.merging.merge import MergeHooks

        return MergeHooks(on_plan=self._on_plan, on_frames=self._on_frames, on_merged=self._on_merged)

    def __enter__(self) -> MergeProgress:
        if not self._quiet and sys.stderr.isatty():
            self._bar = self._stack.enter_context(_bar())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def end(self, options: MergeOptions, report: MergeReport) -> None:
        """Say what came of the merge."""
        if self._quiet:
            return
        where = [options.archive] if report.has_tables else []
        where += [] if options.events is None else [str(options.events)]
        reused = f" ({report.reused} of them before)" if report.reused else ""
        lost = f", {report.lost} LOST" if report.lost else ""
        self._say(
            f"{report.recordings} recordings merged{reused}: {report.frames} frames{lost}, {report.faces} faces; in {' and '.join(where)}"
        )

        if not report.has_tables and options.tables is None:
            self._say("no Parquet files: pyarrow is not installed")

    def _say(self, text: str) -> None:
        if self._bar is None:
            print(text, file=sys.stderr)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _on_plan(self, plan: Plan) -> None:
        for left in plan.left_out:
            self._say(f"left out: {left.path}: {left.reason}")
        if self._bar is not None:
            frames = sum(recording.frames for recording in plan.recordings)
            self._task = self._bar.add_task("merging", total=frames or None)

    def _on_frames(self, number: int, frames: int) -> None:
        self._merging[number] = frames
        self._show_frames()

    def _on_merged(self, recording: PlannedRecording, merged: Merged) -> None:
        self._merging.pop(recording.number, None)
        self._frames += recording.frames
        self._show_frames()
        if merged.failed:
            self._say(f"{recording.source} could not be analysed: {merged.failed}")
        elif merged.lost:
            self._say(f"{recording.source}: {merged.lost} frames LOST")

    def _show_frames(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self._frames + sum(self._merging.values()))


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
