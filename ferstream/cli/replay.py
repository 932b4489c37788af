"""``ferstream replay``: analyses recordings and writes one JSON event on each line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ferstream.app.replay import Outcome


def replay(  # noqa: PLR0913, PLR0917 (the options of the command)
    videos: list[Path] = typer.Argument(help="Recordings: mp4, mov, mkv, avi, webm, ts, dav ...; - is stdin."),
    events: str | None = typer.Option(None, "--events", metavar="FILE", help="Write one JSON event on each line; - is stdout."),
    config: Path | None = typer.Option(None, "-c", "--config", metavar="FILE", help="Settings file."),
    model: str | None = typer.Option(None, "--model", help="Name, name/version or folder of a model bundle."),
    fps: float = typer.Option(0.0, "--fps", min=0.0, help="Frames to analyse per second of media time; 0 = every frame."),
    speed: float = typer.Option(0.0, "--speed", min=0.0, help="Multiple of media speed; 0 = as fast as possible."),
    max_hz: float = typer.Option(0.0, "--max-hz", min=0.0, help="Most events per second for one face; 0 = every analysed frame."),
    mqtt: bool = typer.Option(False, "--mqtt", help="Also publish to the broker of the settings."),
    start: str | None = typer.Option(
        None, "--start", metavar="TIME", help="When the recording began, ISO 8601 with its zone: 2026-11-21T20:31:35+01:00."
    ),
    camera: str | None = typer.Option(
        None, "--camera", metavar="NAME", help="The camera of the settings that made the recordings: its masks apply."
    ),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print neither progress nor summary."),
) -> None:
    """Analyse recordings with the pipeline of the daemon; the same file gives the same events, byte for byte.

    Each recording is a camera, named after its file; a second file of one name becomes NAME-2. The events name the file in "source".
    captured_at is the time of --start, or else the creation time in the file, plus the media time. Many cameras write local time there
    as if it were UTC; --start corrects it. Without either, captured_at counts from 1970-01-01.

    With -c or --mqtt the privacy settings are obeyed: masks are painted (those of --camera, or of the only camera of the
    settings), and with privacy.aggregate_only events are not written: --events and --mqtt are errors then.

    Exit status: 0 all frames were analysed, 3 a recording cannot be read, 75 frames were lost.
    """
    from ferstream.app.replay import ReplayOptions, replay_all
    from ferstream.errors import ExitCode
    from ferstream.logs import configure_logging

    configure_logging(level="warning", format="console")  # on stderr: the events may go to stdout
    options = ReplayOptions(
        videos=tuple(videos),
        events=events,
        config=config,
        model=model,
        fps=fps,
        speed=speed,
        max_hz=max_hz,
        mqtt=mqtt,
        camera=camera,
        start_ns=None if start is None else _start_ns(start),
    )
    with _progress(quiet) as on_progress:
        outcomes = replay_all(options, on_progress=on_progress)
    for outcome in outcomes:
        _summary(outcome, quiet)
    if any(outcome.lost for outcome in outcomes):
        raise typer.Exit(int(ExitCode.FRAMES_LOST))


def _start_ns(text: str) -> int:
    """Return the time of ``--start`` in UTC nanoseconds since 1970."""
    from ferstream.capture.creation_time import utc_ns
    from ferstream.errors import ConfigError
    from ferstream.runtime.printable import printable

    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f'--start: "{printable(text)}" is not a time as in ISO 8601, such as 2026-11-21T20:31:35Z') from None
    if moment.tzinfo is None:
        raise ConfigError(f'--start: "{printable(text)}" has no zone; add Z for UTC, or the difference to UTC, such as +01:00')
    if moment.year not in range(1970, 2200):
        raise ConfigError(f'--start: "{printable(text)}" is not a year of recordings; expected 1970 to 2199')
    return utc_ns(moment)


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    """Yield the function that takes the progress: it draws a bar on a terminal and does nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda camera, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def on_progress(camera: str, done: int, total: int | None) -> None:
            if camera not in tasks:
                tasks[camera] = bar.add_task(camera, total=total)
            bar.update(tasks[camera], completed=done, total=total)

        yield on_progress


def _summary(outcome: Outcome, quiet: bool) -> None:
    from ferstream.app.replay import camera_name, shown_name

    if quiet and not outcome.lost:
        return
    labels = sorted(((n, label) for (_, label), n in outcome.snapshot.events.items()), reverse=True)
    shown = ", ".join(f"{label} {n}" for n, label in labels)
    lost = f", {outcome.lost} LOST" if outcome.lost else ""
    events = f"; {sum(n for n, _ in labels)} events: {shown}" if shown else ""
    if shown and outcome.left:
        events += f" ({outcome.left} of them repeat{'s' if outcome.left == 1 else ''} the last label of a track that left)"
    named = "" if outcome.camera == camera_name(outcome.path) else f" (camera {outcome.camera})"
    print(f"{shown_name(outcome.path)}{named}: {outcome.frames} frames{lost}, {outcome.faces} faces{events}", file=sys.stderr)
    if outcome.info.choice:
        print(f"  {outcome.info.choice}", file=sys.stderr)
    for (_, stage, reason), count in outcome.snapshot.dropped.items():
        print(f"  {count} frames lost in {stage}: {reason}", file=sys.stderr)
