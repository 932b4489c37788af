"""What the tests of telemetry share: a clock they own and a counters with a life behind it."""

from __future__ import annotations

import pytest

from ferstream.runtime.counters import Counters
from tests.support.clock import FakeClock


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
