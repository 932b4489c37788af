"""Restoring the logging configuration after a test that changes it."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from ferstream.runtime.redaction import forget_secrets

Logs = list[MutableMapping[str, Any]]
"""What ``structlog.testing.capture_logs`` yields."""


@contextmanager
def logging_restored() -> Iterator[None]:
    """Restore the root logger, crash hooks, warnings and structlog afterwards, and forget the known secrets."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook, sys.unraisablehook)
    try:
        with warnings.catch_warnings():
            yield
            logging.captureWarnings(False)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        structlog.reset_defaults()
        forget_secrets()


def named(logs: Logs, event: str) -> list[MutableMapping[str, Any]]:
    """Return the captured lines with this message."""
    return [entry for entry in logs if entry["event"] == event]
