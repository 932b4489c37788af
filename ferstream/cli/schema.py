"""``ferstream schema``: the JSON Schemas of the events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def schema(
    name: Annotated[str | None, typer.Argument(help="face, track, summary, state or node; all if left out.", show_default=False)] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-d", metavar="DIR", help="Write one file per schema instead.", show_default=False),
    ] = None,
) -> None:
    """Print the JSON Schema of each kind of event, or write them to a folder (docs/schema/ is made this way)."""
    from ferstream.errors import ConfigError, OutputError
    from ferstream.events.node import node_schema
    from ferstream.events.payload import MODELS, json_schema
    from ferstream.events.schemas import NODE

    schemas = {full: json_schema(full) for full in MODELS} | {NODE: node_schema()}
    names = {full.removeprefix("ferstream.").split("/")[0]: full for full in schemas}
    if name is not None and name not in names:
        raise ConfigError(f"schema {name!r}: expected one of {', '.join(names)}")
    texts = {
        f"{short}-{full.split('/')[1]}.json": json.dumps(schemas[full], indent=2, ensure_ascii=False) + "\n"
        for short, full in names.items()
        if name in (None, short)
    }
    if directory is None:
        typer.echo("".join(texts.values()), nl=False)
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file_name, text in texts.items():
            (directory / file_name).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write to {directory}: {exc.strerror}") from exc
