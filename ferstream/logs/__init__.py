"""Log lines: structlog over the standard library, every one of them redacted, repeated ones held back."""

from __future__ import annotations

from ferstream.logs.limit import RepeatLimit
from ferstream.logs.setup import catch_crashes, configure_logging, set_level

__all__ = ["RepeatLimit", "catch_crashes", "configure_logging", "set_level"]
