"""The points of the charts, from counters at two moments."""

from __future__ import annotations

from ferstream.runtime.counters import Counters
from ferstream.web.history import POINTS, History, sample_of
from tests.support.clock import FakeClock


class Machine:
    """Counters, a clock, and a history that is fed from them."""

    def __init__(self, *, show_faces: bool = True) -> None:
        self.clock = FakeClock()
        self.counters = Counters(clock=self.clock)
        self.history = History(show_faces=show_faces)

    def sample(self, outbox: int = 0) -> None:
        """Add a point, two seconds later."""
        snapshot = self.counters.snapshot()
        self.history.add(sample_of(snapshot, at_ns=self.clock.utc_ns(), monotonic_ns=self.clock.monotonic_ns(), outbox=outbox))
        self.clock.advance(2)

    def frames(self, count: int, *, latency_s: float = 0.02, camera: str = "door") -> None:
        """Publish frames with one face each."""
        for _ in range(count):
            self.counters.frame(camera, "publishing")
            self.counters.latency(camera, latency_s)
            self.counters.faces(camera, "found", 1)


def test_a_point_has_rates_of_the_time_since_the_last_one() -> None:
    machine = Machine()
    machine.frames(100)
    machine.sample()
    machine.frames(30)
    machine.frames(20, camera="yard")
    machine.counters.frame_dropped("door", "detection", "stale", 4)
    machine.sample(outbox=7)
    (point,) = machine.history.as_json()["points"]
    assert (point["fps"], point["faces_per_s"], point["dropped_per_s"], point["outbox"]) == (25.0, 25.0, 2.0, 7)
    assert 15 < point["p50_ms"] <= 20
    assert point["at"] == (machine.clock.utc_ns() - 2_000_000_000) / 1e9


def test_numbers_that_are_not_known_are_null() -> None:
    machine = Machine()
    machine.sample()
    machine.sample()
    (point,) = machine.history.as_json()["points"]
    assert (point["p50_ms"], point["p99_ms"], point["fps"]) == (None, None, 0.0)
    assert machine.history.latency_ms() == {"p50": None, "p90": None, "p99": None}


def test_the_number_of_faces_is_withheld_with_aggregate_only() -> None:
    machine = Machine(show_faces=False)
    machine.sample()
    machine.frames(10)
    machine.sample()
    assert machine.history.as_json()["points"][0]["faces_per_s"] is None


def test_the_latency_is_that_of_the_last_seconds() -> None:
    machine = Machine()
    machine.sample()
    machine.frames(1000, latency_s=0.4)
    for _ in range(6):
        machine.sample()
    machine.frames(10, latency_s=0.01)
    machine.sample()
    latency = machine.history.latency_ms()
    assert latency["p99"] is not None
    assert latency["p99"] <= 10


def test_ten_minutes_are_kept() -> None:
    machine = Machine()
    for _ in range(POINTS + 50):
        machine.sample()
    points = machine.history.as_json()["points"]
    assert len(points) == POINTS
    assert points[-1]["at"] - points[0]["at"] == 2 * (POINTS - 1)


def test_a_new_history_has_no_point() -> None:
    assert History(show_faces=True).as_json() == {"interval_s": 2.0, "points": []}
    assert History(show_faces=True).latency_ms()["p50"] is None
