"""Logging set up for one test, and put back after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.logs import logging_restored


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put logging back."""
    with logging_restored():
        yield
