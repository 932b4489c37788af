"""What the tests of telemetry share: a clock they own and a ledger with a life behind it."""

from __future__ import annotations

import pytest

from ferstream.runtime.ledger import Ledger
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> Ledger:
    """One camera's minute: 12 frames captured, 9 published, 3 dropped, 4 faces."""
    ledger = Ledger(clock=clock)
    for stage, count in (("decode", 25), ("capture", 12), ("detection", 10), ("tracking", 10), ("inference", 9), ("publishing", 9)):
        for _ in range(count):
            ledger.frame("door", stage)
    ledger.frame_dropped("door", "detection", "stale", 2)
    ledger.frame_dropped("door", "inference", "error")
    ledger.faces("door", "found", 4)
    ledger.faces("door", "classified", 3)
    ledger.faces("door", "skipped", 1)
    ledger.duration("detection", 0.0025)
    ledger.duration("detection", 3.0)
    ledger.latency("door", 0.02)
    ledger.batch(3)
    ledger.event("door", "happy")
    ledger.beat("detection-0")
    ledger.camera_up("door", True)
    ledger.reconnect("door", "timeout")
    ledger.tally("mqtt_publish", "acknowledged", 7)
    ledger.tally("outbox_dropped", "max_events", 5)
    ledger.tally("batch_limit_halved")
    return ledger
