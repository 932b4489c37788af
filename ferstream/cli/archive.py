"""``ferstream archive``: analyses archives of recordings; ``plan``, ``run`` and ``merge``, or all three with one command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from ferstream.cli.archive_merge import merge
from ferstream.cli.archive_plan import CHUNK_S, plan
from ferstream.cli.archive_run import run

_ALL = "all"


class ArchiveGroup(TyperGroup):
    """A group whose first argument may also be the folder of an archive, before its sources."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command that does everything before arguments that begin with no name of a command."""
        if args and args[0] not in {*self.commands, "--help", "-h"}:
            args = [_ALL, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ArchiveGroup,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    subcommand_metavar="plan|run|merge ... | DIR SOURCES...",
)


@app.callback()
def archive() -> None:
    """Analyse archives of recordings on many processes or machines; the events are those of ferstream replay, byte for byte.

    ferstream archive DIR SOURCES... plans, runs and merges. The three steps are commands too, for options of their own. Whatever was
    interrupted or killed, the same command goes on.
    """


app.command("plan")(plan)
app.command("run")(run)
app.command("merge")(merge)


@app.command(_ALL, hidden=True)
def all_steps(  # noqa: PLR0913, PLR0917 (the options of the command)
    folder: str = typer.Argument(metavar="DIR", help="Folder of the archive; it is made."),
    sources: list[str] = typer.Argument(metavar="SOURCES", help="Recordings: files; folders; 'clips/*.mp4'."),
    workers: int | None = typer.Option(None, "--workers", min=1, metavar="N", help="Number of workers; default: one for two cores."),
    ray: str | None = typer.Option(None, "--ray", metavar="ADDRESS", help="Run on this Ray cluster; auto finds the one of this machine."),
    events: Path | None = typer.Option(None, "--events", metavar="FOLDER", help="Write the JSON lines of replay, FOLDER/CAMERA.jsonl."),
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
    """Plan an archive, analyse it and merge the results; go on where the same command was interrupted.

    Exit status: 0 all was analysed, 3 recordings failed or were left out, 75 frames were lost or it was stopped.
    """
    from ferstream.archive.merging.merge import MergeOptions
    from ferstream.archive.planning.planner import PlanOptions
    from ferstream.archive.storage.stores import open_store
    from ferstream.cli.archive_merge import merge_and_report
    from ferstream.cli.archive_plan import plan_and_show, start_ns
    from ferstream.cli.archive_run import make_workers, run_and_show
    from ferstream.logs import configure_logging

    configure_logging(level="warning", format="console")
    options = PlanOptions(
        sources=tuple(sources), chunk_s=chunk_s, config=config, model=model, fps=fps, camera=camera, start_ns=start_ns(start)
    )
    plan_and_show(folder, options, quiet=quiet)
    store = open_store(folder)
    code = run_and_show(store, workers=make_workers(store, workers=workers, ray=ray), mixed=False, quiet=quiet)
    merge_and_report(MergeOptions(archive=folder, events=events), quiet=quiet)
    if code:
        raise typer.Exit(int(code))
