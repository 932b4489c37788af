"""The checks of ``ferstream check``: each part is tried for real, and a failure comes with advice."""

from __future__ import annotations

from ferstream.app.checks.finding import Finding, Verdict
from ferstream.app.checks.plan import findings, read_settings

__all__ = ["Finding", "Verdict", "findings", "read_settings"]
