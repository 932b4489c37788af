"""Fixtures for sinks: a recording observer, an encoder, made events."""

from __future__ import annotations

import pytest

from ferstream.events.encode import Encoder, ModelRef
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.topics import Topics


@pytest.fixture
def observer() -> Counters:
    """A real counters."""
    return Counters()


@pytest.fixture
def encoder() -> Encoder:
    """Numbers from 0, boot id ``boot``."""
    return Encoder(node="edge-1", boot_id="boot", model=ModelRef("emotion-edge", "1.0.0"), clock=SystemClock())


@pytest.fixture
def topics() -> Topics:
    """Those of node edge-1."""
    return Topics(prefix="ferstream", node="edge-1")
