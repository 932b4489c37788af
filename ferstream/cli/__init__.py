"""The command line: one module per command, registered here.

Commands are imported when they are called for (``--help`` of one command imports that command
only), and heavy libraries inside the command: ``ferstream --help`` stays quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("ferstream.cli.run:run", "The daemon: all cameras of the settings, until SIGTERM."),
    "demo": ("ferstream.cli.demo:demo", "The whole pipeline on a built-in clip, with a broker of its own."),
    "replay": ("ferstream.cli.replay:replay", "Recordings through the same pipeline, as fast as it goes."),
    "check": ("ferstream.cli.check:check", "Check settings, cameras, broker and models; say what to do."),
    "bench": ("ferstream.cli.bench:bench", "Measure the pipeline against its bare kernels."),
    "reload": ("ferstream.cli.reload:reload", "Tell a running daemon to read its settings again."),
    "gaps": ("ferstream.cli.gaps:gaps", "Report missing, doubled and reordered events of a broker or a file."),
    "config": ("ferstream.cli.config:app", "Show the effective settings, or their schema."),
    "schema": ("ferstream.cli.schema:schema", "Print the JSON Schemas of the events."),
    "train": ("ferstream.cli.train:app", "Train an expression model, or report on its data."),
    "evaluate": ("ferstream.cli.evaluate:evaluate", "Measure a model on labelled faces."),
    "predict": ("ferstream.cli.predict:predict", "Faces and expressions of still pictures."),
    "export": ("ferstream.cli.export:export", "Convert a model bundle to other formats, and compare."),
    "import-model": ("ferstream.cli.import_model:import_model", "Make a bundle of an older project's model."),
}


class LazyGroup(TyperGroup):
    """A command group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands, in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command; while the list of commands is printed, a stand-in with its help line."""
        if cmd_name not in COMMANDS:
            return None
        where, help_line = COMMANDS[cmd_name]
        if getattr(ctx, "listing", False):
            return _stand_in(cmd_name, help_line)
        return _load(cmd_name, where, help_line)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the list of commands without importing any of them."""
        ctx.listing = True
        super().format_help(ctx, formatter)


def _load(name: str, where: str, help_line: str) -> Any:
    module_name, _, attribute = where.partition(":")
    target = getattr(import_module(module_name), attribute)
    if isinstance(target, typer.Typer):
        command = typer.main.get_command(target)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        single.command(name, help=None)(target)
        command = typer.main.get_command(single)
    command.name = name
    command.short_help = help_line
    return command


def _stand_in(name: str, help_line: str) -> Any:
    def nothing() -> None:
        """Stand in for a command that is not imported."""

    single = typer.Typer(add_completion=False)
    single.command(name, help=help_line, short_help=help_line)(nothing)
    return typer.main.get_command(single)


def _version(value: bool) -> None:
    if value:
        from ferstream import __version__

        typer.echo(f"ferstream {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    name="ferstream",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and leave."),
) -> None:
    """Facial expression events from cameras and recordings."""


__all__: Sequence[str] = ("app",)
