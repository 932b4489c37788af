"""The result of one check: a line of the report of ``ferstream check``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ferstream.errors import ExitCode, FerstreamError
from ferstream.runtime.printable import printable
from ferstream.runtime.redaction import redact
from ferstream.settings.problems import Problem


class Verdict(StrEnum):
    """Whether a part works. ``warn``: it works but needs attention. ``skip``: it was not checked. Neither is a failure."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes:
        verdict: ok, warn, FAIL or skip.
        part: What was checked: ``settings``, ``camera door``, ``broker``, ...
        detail: What was found, or why the part failed; never a secret.
        advice: What to do; empty if the part works.
        exit_code: Exit code of the process if this is the first failure.
    """

    verdict: Verdict
    part: str
    detail: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.OK


def passed(part: str, detail: str) -> Finding:
    """Return the finding that a part works."""
    return Finding(verdict=Verdict.OK, part=part, detail=_safe(detail))


def skipped(part: str, detail: str) -> Finding:
    """Return the finding that a part was not checked."""
    return Finding(verdict=Verdict.SKIP, part=part, detail=_safe(detail))


def warned(part: str, detail: str, advice: str) -> Finding:
    """Return the finding that a part works but needs attention."""
    return Finding(verdict=Verdict.WARN, part=part, detail=_safe(detail), advice=_safe(advice))


def failed(part: str, detail: str, advice: str, exit_code: ExitCode) -> Finding:
    """Return the finding that a part does not work."""
    return Finding(verdict=Verdict.FAIL, part=part, detail=_safe(detail), advice=_safe(advice), exit_code=exit_code)


def failed_with(part: str, error: FerstreamError, advice: str) -> Finding:
    """Return the finding that a part failed with a known error."""
    return failed(part, str(error), advice, error.exit_code)


def wrong_setting(part: str, problem: Problem, advice: str) -> Finding:
    """Return the finding that a setting is wrong.

    The text of a problem holds no secret, and is not redacted: the redaction would mask the word after "token:".
    """
    return Finding(verdict=Verdict.FAIL, part=part, detail=printable(str(problem)), advice=advice, exit_code=ExitCode.USAGE)


def warned_of_setting(part: str, problem: Problem) -> Finding:
    """Return the finding that a setting works but needs attention; the advice is what follows the semicolon of its text."""
    detail, _, advice = str(problem).partition("; ")
    return Finding(verdict=Verdict.WARN, part=part, detail=printable(detail), advice=printable(advice))


def _safe(text: str) -> str:
    return printable(redact(text))
