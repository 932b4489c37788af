"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ferstream.errors import ExitCode, FerstreamError
from ferstream.runtime.redaction import redact
from ferstream.settings.problems import one_line


class Verdict(StrEnum):
    """Whether a part can be used; ``warn`` works but should be looked at, ``skip`` was not tried: neither is a failure."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes:
        verdict: ok, warn, FAIL or skip.
        part: What was tried: ``settings``, ``camera door``, ``broker``, ...
        detail: What was found, or why it failed; never a secret.
        advice: What to do, empty if it works.
        exit_code: What the process ends with if this is the first failure.
    """

    verdict: Verdict
    part: str
    detail: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.OK


def passed(part: str, detail: str) -> Finding:
    """Return a finding of something that works."""
    return Finding(verdict=Verdict.OK, part=part, detail=_safe(detail))


def skipped(part: str, detail: str) -> Finding:
    """Return a finding of something that was not tried."""
    return Finding(verdict=Verdict.SKIP, part=part, detail=_safe(detail))


def warned(part: str, detail: str, advice: str) -> Finding:
    """Return a finding of something that works, but not as it should."""
    return Finding(verdict=Verdict.WARN, part=part, detail=_safe(detail), advice=_safe(advice))


def failed(part: str, detail: str, advice: str, exit_code: ExitCode) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(verdict=Verdict.FAIL, part=part, detail=_safe(detail), advice=_safe(advice), exit_code=exit_code)


def refused(part: str, error: FerstreamError, advice: str) -> Finding:
    """Return a finding of a foreseen failure."""
    return failed(part, str(error), advice, error.exit_code)


def _safe(text: str) -> str:
    return one_line(redact(text))
