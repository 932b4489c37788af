"""Running ``ferstream check`` in a test, and reading its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from typer.testing import CliRunner, Result

from ferstream.cli import app
from ferstream.errors import ExitCode

SECRET = "zirkelkastenschloss"


class RunCheck(Protocol):
    """Runs ``check``: with good settings of which the given parts are replaced, or with the whole text of a file."""

    def __call__(
        self,
        *,
        camera: str | None = None,
        mqtt: str = "",
        model: Path | str | None = None,
        http: str = "listen = '127.0.0.1:0'",
        rest: str = "",
        text: str | None = None,
    ) -> Result: ...


def run_check(file: Path, *words: str) -> Result:
    """Run ``check`` on a settings file."""
    result = CliRunner().invoke(app, ["check", "-c", str(file), *words])
    assert SECRET not in result.output
    return result


def findings(result: Result) -> list[dict[str, Any]]:
    """All findings of a JSON report."""
    found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return found


def failures(result: Result) -> list[dict[str, Any]]:
    """The failures of a JSON report."""
    return [finding for finding in findings(result) if finding["verdict"] == "FAIL"]


def only_failure(result: Result, code: ExitCode) -> dict[str, Any]:
    """The only failure; it has advice, and its exit code is that of the process."""
    (found,) = failures(result)
    assert result.exit_code == code
    assert found["advice"]
    assert json.loads(result.stdout)["exit_code"] == code
    assert "\n" not in found["detail"]
    return found


def door(source: object, more: str = "") -> str:
    """A camera ``door`` with short timeouts."""
    return f'[[cameras]]\nname = "door"\nsource = "{source}"\nconnect_timeout_s = 5\nread_timeout_s = 2\n{more}\n'
