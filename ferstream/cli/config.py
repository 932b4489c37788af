"""``ferstream config``: the settings in force, the reference file, the schema, the names of all variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, help="Show settings."
)

ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Settings file.", show_default=False)]


@app.command()
def show(config: ConfigFile = None) -> None:
    """Print the settings in force and where each value came from; secrets are masked."""
    from ferstream.settings import load
    from ferstream.settings.render import effective

    typer.echo(effective(load(config, secrets=False)), nl=False)


@app.command()
def reference() -> None:
    """Print a settings file with every key, commented, with its default."""
    from ferstream.settings.render import reference as text

    typer.echo(text(), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors."""
    from ferstream.settings.render import schema as text

    typer.echo(text(), nl=False)


@app.command()
def keys() -> None:
    """Print every key and its environment variable."""
    from ferstream.settings.model import env_names, known_keys

    for key, name in zip(known_keys(), env_names(), strict=True):
        typer.echo(f"{key:<32} {name}")
