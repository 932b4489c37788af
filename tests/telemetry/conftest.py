"""Fixtures of the telemetry tests: a clock moved by hand, counters with values in them, running servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ferstream.runtime.counters import Counters
from ferstream.telemetry.server import TelemetryServer
from tests.support.clock import FakeClock
from tests.support.telemetry import TOKEN, server_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def counters(clock: FakeClock) -> Counters:
    """One camera's minute: 12 frames captured, 9 published, 3 dropped, 4 faces."""
    counters = Counters(clock=clock)
    for stage, count in (("decode", 25), ("capture", 12), ("detection", 10), ("tracking", 10), ("inference", 9), ("publishing", 9)):
        for _ in range(count):
            counters.frame("door", stage)
    counters.frame_dropped("door", "detection", "stale", 2)
    counters.frame_dropped("door", "inference", "error")
    counters.faces("door", "found", 4)
    counters.faces("door", "classified", 3)
    counters.faces("door", "skipped", 1)
    counters.duration("detection", 0.0025)
    counters.duration("detection", 3.0)
    counters.latency("door", 0.02)
    counters.batch(3)
    counters.event("door", "happy")
    counters.beat("detection-0")
    counters.camera_up("door", True)
    counters.reconnect("door", "timeout")
    counters.count("mqtt_publish", "acknowledged", 7)
    counters.count("outbox_dropped", "max_events", 5)
    counters.count("batch_limit_halved")
    return counters


@pytest.fixture
def server(counters: Counters) -> Iterator[TelemetryServer]:
    server = server_of(counters)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guarded(counters: Counters) -> Iterator[TelemetryServer]:
    server = server_of(counters, token=TOKEN)
    server.start()
    yield server
    server.stop()
