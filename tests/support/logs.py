"""Restoring the logging configuration after a test that changes it."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ferstream.runtime.redaction import forget_secrets


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
