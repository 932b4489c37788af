"""Logging set up for one test, and put back after it."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from ferstream.runtime.redaction import forget_secrets


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put the root logger, the hooks and structlog back."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    with warnings.catch_warnings():
        yield
        logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()
    forget_secrets()
