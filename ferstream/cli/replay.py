"""``ferstream replay``: analyses recordings and writes events, tables and annotated videos."""

from __future__ import annotations

from pathlib import Path

import typer


def replay(  # noqa: PLR0913, PLR0917 (the options of the command)
    videos: list[Path] = typer.Argument(help="Recordings: mp4, mov, mkv, avi, webm, ts, dav ...; folders; 'clips/*.mp4'; - is stdin."),
    events: str | None = typer.Option(None, "--events", metavar="FILE", help="Write one JSON event on each line; - is stdout."),
    table: Path | None = typer.Option(None, "--table", metavar="FILE", help="Write rows of columns: .csv or .parquet."),
    video: Path | None = typer.Option(
        None, "--video", metavar="FILE", help="Write a .mp4 with boxes and labels; a folder for several recordings."
    ),
    blur: bool = typer.Option(False, "--blur", help="Hide the faces in the video."),
    points: bool = typer.Option(False, "--points", help="Draw the five landmarks in the video."),
    resume: bool = typer.Option(False, "--resume", help="Go on where the same command was interrupted."),
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

    Of a folder, all recordings in it and below it are replayed, by name. Those that cannot be read are named and left out.

    With -c or --mqtt the privacy settings are obeyed: masks are painted (those of --camera, or of the only camera of the
    settings), and with privacy.aggregate_only single faces are not written: --events, --table, --video and --mqtt are errors then.

    Exit status: 0 all frames were analysed, 3 a recording cannot be read, 75 frames were lost.
    """
    from ferstream.app.replay import ReplayOptions, replay_all
    from ferstream.cli.replay_report import ReplayReport
    from ferstream.errors import ExitCode
    from ferstream.logs import configure_logging

    configure_logging(level="warning", format="console")  # on stderr: the events may go to stdout
    options = ReplayOptions(
        videos=tuple(videos),
        events=events,
        table=table,
        video=video,
        blur=blur,
        points=points,
        resume=resume,
        config=config,
        model=model,
        fps=fps,
        speed=speed,
        max_hz=max_hz,
        mqtt=mqtt,
        camera=camera,
        start_ns=None if start is None else _start_ns(start),
    )
    with ReplayReport(quiet=quiet) as report:
        replay_all(options, hooks=report.hooks)
    if report.unreadable:
        raise typer.Exit(int(ExitCode.SOURCE))
    if report.lost:
        raise typer.Exit(int(ExitCode.FRAMES_LOST))


def _start_ns(text: str) -> int:
    """Return the time of ``--start`` in UTC nanoseconds since 1970."""
    from ferstream.capture.creation_time import start_time_ns

    return start_time_ns(text, name="--start")
