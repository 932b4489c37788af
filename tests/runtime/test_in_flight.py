"""Places of items between two points: how many there are, who waits, and what is measured."""

from __future__ import annotations

import pytest

from ferstream.runtime.in_flight import UNLIMITED, InFlight, Transit
from tests.support.clock import FakeClock
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


def entered(in_flight: InFlight, *keys: str) -> None:
    """Let items in."""
    for key in keys:
        in_flight.reserve(0)
        in_flight.enter(key)


class TestPlaces:
    """There are so many and no more."""

    def test_a_full_pipeline_lets_nobody_in(self) -> None:
        in_flight = InFlight(limit=2, target_s=1.0, clock=FakeClock())
        entered(in_flight, "a", "b")
        assert not in_flight.has_room
        with pytest.raises(TimeoutError):
            in_flight.reserve(0)

    def test_whoever_waits_is_let_in_when_an_item_leaves(self) -> None:
        in_flight = InFlight(limit=1, target_s=1.0, clock=FakeClock())
        entered(in_flight, "a")
        waiting = Task(in_flight.reserve)
        assert waiting.alive
        in_flight.leave(["a"])
        waiting.result()
        assert in_flight.places_in_use == 1

    def test_a_reserved_place_can_be_given_back(self) -> None:
        in_flight = InFlight(limit=1, target_s=1.0, clock=FakeClock())
        in_flight.reserve(0)
        waiting = Task(in_flight.reserve)
        assert waiting.alive
        in_flight.cancel()
        waiting.result()

    def test_an_item_that_leaves_twice_frees_one_place(self) -> None:
        in_flight = InFlight(limit=2, target_s=1.0, clock=FakeClock())
        entered(in_flight, "a", "b")
        in_flight.leave(["a"])
        in_flight.leave(["a", "unknown"])
        assert in_flight.places_in_use == 1

    def test_without_a_limit_there_is_always_room(self) -> None:
        in_flight = InFlight(limit=UNLIMITED, target_s=1.0, clock=FakeClock())
        entered(in_flight, *"abcdef")
        assert in_flight.has_room
        assert in_flight.places_in_use == 6

    def test_lift_lets_everybody_in(self) -> None:
        in_flight = InFlight(limit=1, target_s=1.0, clock=FakeClock())
        entered(in_flight, "hangs")
        waiting = [Task(in_flight.reserve) for _ in range(3)]
        wait_until(lambda: all(task.alive for task in waiting))
        in_flight.lift()
        for task in waiting:
            task.result()

    def test_a_negative_limit_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="limit >= 0"):
            InFlight(limit=-1, target_s=1.0, clock=FakeClock())


class TestSlowMachine:
    """Items that take too long are fewer at once."""

    def through(self, in_flight: InFlight, clock: FakeClock, seconds: float, times: int) -> None:
        for number in range(times):
            entered(in_flight, str(number))
            clock.advance(seconds)
            in_flight.leave([str(number)])

    def test_slow_items_lower_the_limit_to_one_and_fast_ones_restore_it(self) -> None:
        clock = FakeClock()
        in_flight = InFlight(limit=3, target_s=0.25, clock=clock)
        self.through(in_flight, clock, 0.1, 20)
        assert in_flight.limit == 3
        self.through(in_flight, clock, 0.6, 40)
        assert in_flight.limit == 1
        self.through(in_flight, clock, 0.05, 60)
        assert in_flight.limit == 3


def test_the_time_of_items_that_come_through_is_measured() -> None:
    clock = FakeClock()
    transit = Transit(clock=clock)
    for key in ("a", "b"):
        transit.enter([key])
    clock.advance(0.2)
    transit.leave(["a"])
    transit.forget(["b"])
    clock.advance(5.0)
    transit.leave(["b"])
    assert len(transit) == 0
    assert transit.time.ns() == 200_000_000
