"""``ferstream check``: reports for every part whether it works, and what to do if it does not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ferstream.app.checks import Finding

_STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red", "skip": "dim"}
_PART_WIDTH = 14

ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Settings file.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]


def check(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check settings, cameras, broker, sinks, models, ports and disk; a failure comes with advice.

    Exit status: that of the first failure, 0 if there is none.
    """
    from ferstream.app.checks import findings, read_settings
    from ferstream.logs import configure_logging

    configure_logging(level="critical", format="console")  # a failure is reported as a finding, not in the log as well
    settings, found = read_settings(config)
    if not as_json:
        _print(found)
    if settings is not None:
        for finding in findings(settings):
            found.append(finding)
            if not as_json:
                _print([finding])
    code = next((int(finding.exit_code) for finding in found if finding.verdict == "FAIL"), 0)
    if as_json:
        typer.echo(json.dumps(_report(found, code), indent=2, ensure_ascii=False))
    else:
        _conclude(found)
    raise typer.Exit(code)


def _print(found: Iterable[Finding]) -> None:
    console = _console()
    for finding in found:
        _line(console, finding)


def _line(console: Any, finding: Finding) -> None:
    from rich.text import Text

    style = _STYLES[finding.verdict]
    text = Text.assemble((f"{finding.verdict:<4}", style), "  ", (f"{finding.part:<{_PART_WIDTH}}", "bold"), "  ", finding.detail)
    console.print(text, soft_wrap=True)
    if finding.advice:
        console.print(Text.assemble(" " * (_PART_WIDTH + 8), ("-> ", style), finding.advice), soft_wrap=True)


def _conclude(found: list[Finding]) -> None:
    failures = sum(finding.verdict == "FAIL" for finding in found)
    warnings = sum(finding.verdict == "warn" for finding in found)
    noted = f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    text = f"{failures} of {len(found)} failed{noted}" if failures else f"everything works{noted}"
    _console().print(text, style="bold red" if failures else "green", highlight=False)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def _report(found: list[Finding], code: int) -> dict[str, Any]:
    return {"ok": code == 0, "exit_code": code, "findings": [_plain(finding) for finding in found]}


def _plain(finding: Finding) -> dict[str, Any]:
    return {key: str(value) if key == "verdict" else value for key, value in asdict(finding).items()}
