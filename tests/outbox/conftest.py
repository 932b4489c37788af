"""Fixtures for the outbox: one with a reader, and what waits for its events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.runtime.counters import Counters
from tests.support.outboxes import OneReader, Ready


@pytest.fixture
def ready() -> Ready:
    return Ready()


@pytest.fixture
def make(observer: Counters, ready: Ready) -> Callable[..., OneReader]:
    def build(directory: Path | None, **options: Any) -> OneReader:
        return OneReader(directory, observer=observer, on_ready=ready, **options)

    return build
