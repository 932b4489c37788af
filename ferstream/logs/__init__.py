"""Logging: structlog over the standard library; every line is redacted, repeated lines are suppressed."""

from __future__ import annotations

from ferstream.logs.limit import RepeatLimit
from ferstream.logs.setup import catch_crashes, configure_logging, set_level, use_standard_logging

__all__ = ["RepeatLimit", "catch_crashes", "configure_logging", "set_level", "use_standard_logging"]
