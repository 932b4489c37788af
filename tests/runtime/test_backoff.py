"""Delays grow, stay within bounds, and a stop ends them."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.backoff import Backoff
from tests.support.runners import PATIENCE_S
from tests.support.threads import Task

pytestmark = pytest.mark.usefixtures("no_new_threads")


class Highest(random.Random):
    """Always draws the upper bound, which is the ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


@given(
    floor_s=st.floats(0.01, 10),
    times=st.floats(1, 1000),
    factor=st.floats(1, 10),
    failures=st.integers(1, 200),
    seed=st.integers(),
)
def test_every_wait_lies_between_the_floor_and_the_cap(floor_s: float, times: float, factor: float, failures: int, seed: int) -> None:
    cap_s = floor_s * times
    backoff = Backoff(floor_s=floor_s, cap_s=cap_s, factor=factor, rng=random.Random(seed))
    waits = [backoff.next_s() for _ in range(failures)]
    assert all(floor_s <= wait <= cap_s * (1 + 1e-9) for wait in waits)
    assert backoff.failures == failures


@given(factor=st.floats(1, 10), failures=st.integers(2, 80))
def test_the_ceiling_never_shrinks_and_ends_at_the_cap(factor: float, failures: int) -> None:
    backoff = Backoff(floor_s=1, cap_s=30, factor=factor, rng=Highest())
    ceilings = [backoff.next_s() for _ in range(failures)]
    assert ceilings == sorted(ceilings)
    assert ceilings[-1] <= 30


def test_the_ceiling_doubles_from_twice_the_floor() -> None:
    backoff = Backoff(floor_s=1, cap_s=20, rng=Highest())
    assert [backoff.next_s() for _ in range(6)] == [2, 4, 8, 16, 20, 20]


def test_two_clients_draw_different_delays() -> None:
    waits = [[backoff.next_s() for _ in range(8)] for backoff in (Backoff(rng=random.Random(1)), Backoff(rng=random.Random(2)))]
    assert not set(waits[0]) & set(waits[1])


def test_only_a_long_healthy_run_resets_the_failures() -> None:
    backoff = Backoff(floor_s=1, cap_s=100, healthy_after_s=60, rng=Highest())
    for _ in range(4):
        backoff.next_s()
    backoff.succeeded(59.9)
    assert backoff.failures == 4
    assert backoff.next_s() == 32
    backoff.succeeded(60)
    assert backoff.failures == 0
    assert backoff.next_s() == 2


@pytest.mark.parametrize(("floor_s", "cap_s", "factor"), [(0, 1, 2), (-1, 1, 2), (2, 1, 2), (1, 2, 0.5)])
def test_invalid_bounds_are_an_error(floor_s: float, cap_s: float, factor: float) -> None:
    with pytest.raises(ValueError, match="floor_s <= cap_s"):
        Backoff(floor_s=floor_s, cap_s=cap_s, factor=factor)


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    waiting = Task(lambda: Backoff(floor_s=10 * PATIENCE_S, cap_s=20 * PATIENCE_S).wait(stop))
    assert waiting.alive
    stop.set()
    assert waiting.result() is True


def test_a_wait_without_a_stop_ends_after_its_delay() -> None:
    assert Backoff(floor_s=0.001, cap_s=0.001).wait(threading.Event()) is False
