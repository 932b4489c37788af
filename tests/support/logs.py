"""Logging put back as it was, after a test that set it up."""

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
    """Put the root logger, the hooks for crashes, warnings, structlog and the known secrets back."""
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
