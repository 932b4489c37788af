"""Calls at intervals."""

from __future__ import annotations

from ferstream.app.schedule import Every
from tests.support.clock import FakeClock


def test_a_function_is_called_when_its_interval_has_passed() -> None:
    clock, calls = FakeClock(), list[int]()
    every = Every(5.0, lambda: calls.append(1), clock=clock)
    every.run_if_due()
    clock.advance(4.9)
    every.run_if_due()
    assert not calls
    clock.advance(0.1)
    every.run_if_due()
    every.run_if_due()
    assert len(calls) == 1


def test_the_first_call_can_be_due_at_once() -> None:
    clock, calls = FakeClock(), list[int]()
    every = Every(5.0, lambda: calls.append(1), clock=clock, at_once=True)
    every.run_if_due()
    clock.advance(4.9)
    every.run_if_due()
    assert len(calls) == 1
    clock.advance(0.1)
    every.run_if_due()
    assert len(calls) == 2


def test_intervals_that_were_missed_are_not_made_up_for() -> None:
    clock, calls = FakeClock(), list[int]()
    every = Every(1.0, lambda: calls.append(1), clock=clock)
    clock.advance(60.0)
    every.run_if_due()
    every.run_if_due()
    clock.advance(0.9)
    every.run_if_due()
    assert len(calls) == 1
