"""Everything ``ferstream check`` tries, each with what to do about a failure."""

from __future__ import annotations

from ferstream.app.checks.finding import Finding, Verdict
from ferstream.app.checks.plan import findings, read_settings

__all__ = ["Finding", "Verdict", "findings", "read_settings"]
