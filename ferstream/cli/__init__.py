"""The command line: one module for each command, registered in ``COMMANDS``.

A command is imported when it is called; ``--help`` of one command imports only that command. Heavy libraries are
imported inside the function of the command. ``ferstream --help`` therefore imports none of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, get_type_hints

import typer
from typer.core import TyperGroup
from typer.models import ParameterInfo

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("ferstream.cli.run:run", "Run the daemon: all cameras of the settings, until SIGTERM."),
    "demo": ("ferstream.cli.demo:demo", "Run the whole pipeline on a built-in clip, with an embedded broker."),
    "replay": ("ferstream.cli.replay:replay", "Analyse recordings with the same pipeline, as fast as possible."),
    "archive": ("ferstream.cli.archive:app", "Analyse thousands of hours of recordings, on many processes or machines."),
    "check": ("ferstream.cli.check:check", "Check settings, cameras, broker and models, with advice for each failure."),
    "bench": ("ferstream.cli.bench:bench", "Measure the speed of the pipeline and of its bare kernels."),
    "reload": ("ferstream.cli.reload:reload", "Make a running daemon read its settings again."),
    "gaps": ("ferstream.cli.gaps:gaps", "Report missing, doubled and late events of a broker or a file."),
    "config": ("ferstream.cli.config:app", "Show the effective settings, or their schema."),
    "schema": ("ferstream.cli.schema:schema", "Print the JSON Schemas of the events."),
    "train": ("ferstream.cli.train:app", "Train an expression model, or report on its data."),
    "evaluate": ("ferstream.cli.evaluate:evaluate", "Measure a model on labelled faces."),
    "card": ("ferstream.cli.card:card", "Write the card of a model: its numbers, curves and recipe."),
    "predict": ("ferstream.cli.predict:predict", "Find faces and expressions in still pictures."),
    "balance": ("ferstream.cli.balance:balance", "Make a model bundle from a network with two heads."),
    "export": ("ferstream.cli.export:export", "Convert a model bundle to other formats and compare the results."),
    "import-model": ("ferstream.cli.import_model:import_model", "Make a bundle from the model of an older project."),
}


class LazyGroup(TyperGroup):
    """A command group that imports a command when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command; while the list of commands is printed, return a placeholder with the help line."""
        if cmd_name not in COMMANDS:
            return None
        where, help_line = COMMANDS[cmd_name]
        if getattr(ctx, "listing", False):
            return _placeholder(cmd_name, help_line)
        return _load(cmd_name, where, help_line)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the list of commands without importing any of them."""
        ctx.listing = True
        super().format_help(ctx, formatter)


def _load(name: str, where: str, help_line: str) -> Any:
    module_name, _, attribute = where.partition(":")
    target = getattr(import_module(module_name), attribute)
    for function in _functions(target):
        _leave_files_to_the_command(function)
    if isinstance(target, typer.Typer):
        command = typer.main.get_command(target)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        single.command(name, help=None)(target)
        command = typer.main.get_command(single)
    from ferstream.cli.path_arguments import refuse_urls  # a listing of the commands needs none of it

    refuse_urls(command)
    command.name = name
    command.short_help = help_line
    return command


def _functions(target: Any) -> list[Callable[..., Any]]:
    """Return the functions whose parameters are the options of a command and of its subcommands."""
    if not isinstance(target, typer.Typer):
        return [target]
    callbacks = [info.callback for info in target.registered_commands]
    if target.registered_callback is not None:
        callbacks.append(target.registered_callback.callback)
    return [callback for callback in callbacks if callback is not None]


def _leave_files_to_the_command(function: Callable[..., Any]) -> None:
    """Turn off Typer's check that files can be read: its box of several lines says less than the commands' own errors."""
    hints = get_type_hints(function, include_extras=True)
    function.__annotations__ = hints  # or Typer would evaluate the texts again and make new options of them
    for name, parameter in inspect.signature(function).parameters.items():
        for info in (parameter.default, *getattr(hints[name], "__metadata__", ())):
            if isinstance(info, ParameterInfo):
                info.readable = False


def _placeholder(name: str, help_line: str) -> Any:
    def nothing() -> None:
        """Do nothing: the command is listed, not run."""

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
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and exit."),
) -> None:
    """Facial expression events from cameras and recordings."""


__all__: Sequence[str] = ("app",)
