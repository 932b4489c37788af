"""The age limit of live frames: the budget less what the rest of the way takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.staleness import ExpectedTime, StalenessLimit
from tests.support.clock import FakeClock

SECOND = 1_000_000_000


def limit_of(clock: FakeClock, rest: ExpectedTime) -> StalenessLimit:
    """A budget of half a second."""
    return StalenessLimit(budget_s=0.5, rest=rest, deviations=0.0, clock=clock)


@pytest.mark.parametrize(("age_s", "is_late"), [(0.0, False), (0.5, False), (0.500001, True), (10.0, True)])
def test_before_anything_is_measured_the_whole_budget_is_left(age_s: float, is_late: bool) -> None:
    clock = FakeClock()
    captured_ns = clock.monotonic_ns()
    clock.advance(age_s)
    assert limit_of(clock, ExpectedTime()).is_late(captured_ns) == is_late


@pytest.mark.parametrize(("age_s", "is_late"), [(0.29, False), (0.31, True)])
def test_the_measured_time_of_the_rest_is_kept_free(age_s: float, is_late: bool) -> None:
    clock, rest = FakeClock(), ExpectedTime()
    rest.observe(SECOND // 5)
    captured_ns = clock.monotonic_ns()
    clock.advance(age_s)
    assert limit_of(clock, rest).is_late(captured_ns) == is_late


def test_a_new_frame_is_never_late_however_slow_the_machine_is() -> None:
    clock, rest = FakeClock(), ExpectedTime()
    rest.observe(60 * SECOND)
    assert not limit_of(clock, rest).is_late(clock.monotonic_ns())


def test_a_limit_that_drops_everything_can_be_relaxed() -> None:
    clock, rest = FakeClock(), ExpectedTime()
    limit = limit_of(clock, rest)
    rest.observe(SECOND)
    captured_ns = clock.monotonic_ns()
    clock.advance(0.3)
    relaxed = 0
    while limit.is_late(captured_ns):
        limit.relax()
        relaxed += 1
    assert 0 < relaxed < 20


@given(st.lists(st.integers(1, SECOND), min_size=1, max_size=50))
def test_the_mean_lies_between_the_observations(times: list[int]) -> None:
    expected = ExpectedTime()
    for time_ns in times:
        expected.observe(time_ns)
    assert min(times) - 1 <= expected.ns() <= max(times)
    assert expected.ns(1.0) >= expected.ns()
