"""``ferstream archive run``: analyses the chunks of a planned archive, on local processes or a Ray cluster."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.archive.running.estimate import Estimate
    from ferstream.archive.storage.store import Store
    from ferstream.archive.tasks import Workers
    from ferstream.errors import ExitCode


def run(
    folder: str = typer.Argument(metavar="DIR", help="The archive that ferstream archive plan made: a folder, or s3://bucket/folder."),
    workers: int | None = typer.Option(
        None, "--workers", min=1, metavar="N", help="Number of workers; default: one for two cores, with --ray as many as fit."
    ),
    ray: str | None = typer.Option(None, "--ray", metavar="ADDRESS", help="Run on this Ray cluster; auto finds the one of this machine."),
    mixed: bool = typer.Option(False, "--mixed", help="Accept machines that compute other digits than that which made the plan."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what is left and what it will cost; measures a few seconds of video."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print neither progress nor summary."),
) -> None:
    """Analyse what is not analysed yet of a planned archive.

    The same command goes on wherever it was stopped or killed: results are written under their final names only when they are
    complete. A chunk whose worker fails or dies is repeated; a recording that cannot be analysed is named in report.json,
    and the others are analysed. Ctrl-C ends it in order, a second one at once.

    Exit status: 0 all was analysed, 3 recordings failed or were left out, 75 frames were lost or the run was stopped.
    """
    from ferstream.archive.storage.stores import open_store
    from ferstream.logs import configure_logging

    configure_logging(level="warning", format="console")
    store = open_store(folder)
    if dry_run:
        for line in estimate_lines(_estimate(store, mixed=mixed), workers or default_workers(), is_local=ray is None):
            print(line)
        return
    code = run_and_show(store, workers=make_workers(store, workers=workers, ray=ray), mixed=mixed, quiet=quiet)
    if code:
        raise typer.Exit(int(code))


def default_workers() -> int:
    """Return how many local workers there are unless something else is asked for: each keeps two cores busy."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def make_workers(store: Store, *, workers: int | None, ray: str | None) -> Workers:
    """Return the workers of a run, none of which is started yet.

    Args:
        store: The archive.
        workers: Their number; None for the usual one.
        ray: Address of a Ray cluster; None for processes of this machine.
    """
    if ray is None:
        from ferstream.archive.workers.local_workers import LocalWorkers

        return LocalWorkers(store.where, workers or default_workers())
    from ferstream.archive.workers.ray_workers import RayWorkers

    return RayWorkers(store.where, address=ray, count=workers)


def run_and_show(store: Store, *, workers: Workers, mixed: bool, quiet: bool) -> ExitCode:
    """Run an archive, show how far it is and what came of it; return the exit code. Main thread only.

    Args:
        store: The archive.
        workers: The workers.
        mixed: Whether machines may differ from that of the plan.
        quiet: Whether nothing is printed.

    Raises:
        FerstreamError: The run cannot go on.
    """
    import threading

    from ferstream.app.signals import stopping
    from ferstream.archive.running.driver import run_archive
    from ferstream.archive.running.report import summary
    from ferstream.cli.archive_progress import RunDisplay
    from ferstream.errors import OutputError, WorkerError

    stop = threading.Event()
    with stopping(stop), RunDisplay(quiet=quiet) as display:
        try:
            report = run_archive(store, workers=workers, hooks=display.hooks, mixed=mixed, stop=stop)
        except (OutputError, WorkerError):
            display.say("what is analysed is kept; when this is repaired, the same command goes on:")
            raise
    if not quiet:
        for line in summary(report):
            display.say(line)
    return report.exit_code


def _estimate(store: Store, *, mixed: bool) -> Estimate:
    from ferstream.archive.plan_file import read_plan
    from ferstream.archive.running.estimate import estimate
    from ferstream.archive.workers.analyzer import Analyzer

    def make(scratch: Store, plan: Any) -> AbstractContextManager[Any]:
        return Analyzer(scratch, plan)

    return estimate(store, read_plan(store), make, mixed=mixed)


def estimate_lines(found: Estimate, workers: int, *, is_local: bool) -> list[str]:
    """Return what is left and what it will cost, for people.

    Args:
        found: The estimate.
        workers: Number of workers.
        is_local: Whether they share the cores of this machine.
    """
    from ferstream.cli.archive_progress import duration

    left = found.remaining
    if not left.recordings:
        return [f"all {left.all_recordings:,} recordings are analysed"]
    hours = left.seconds / 3600
    lines = [f"left: {left.recordings:,} of {left.all_recordings:,} recordings, {left.frames:,} frames, {hours:,.2f} hours of video"]
    if left.undivided:
        lines.append(f"  {left.undivided:,} are read by one worker each, because they cannot be divided")
    seconds = found.seconds(workers, len(os.sched_getaffinity(0)) if is_local else None)
    if seconds is None:
        return [*lines, "rate: unknown; run it for a few minutes, and ask again"]
    lines.append(f"rate: {found.frames_per_s:,.1f} frames/s of one worker ({_basis(found)})")
    if found.core_hours is not None:
        lines.append(f"cost: {found.core_hours:,.2f} core hours")
    lines.append(f"time: {duration(seconds)} with {workers:,} {'worker' if workers == 1 else 'workers'}")
    return lines + _size_lines(found)


def _basis(found: Estimate) -> str:
    if found.earlier.rate or found.measured is None:
        return "of the runs before, report.json"
    return f"measured here with {found.measured.frames:,} frames of {found.measured.source}"


def _size_lines(found: Estimate) -> list[str]:
    lines = []
    if found.result_bytes is not None:
        lines.append(f"results: {_size(found.result_bytes)} until they are merged")
    if found.dataset_bytes is not None:
        lines.append(f"merged: about {_size(found.dataset_bytes)} of Parquet")
    return lines


def _size(count: float) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
