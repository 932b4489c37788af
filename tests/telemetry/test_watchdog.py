"""The watchdog: reset only while every stage makes progress, and a report of the stage that hangs."""

from __future__ import annotations

import logging
import threading

import pytest

from ferstream.runtime.counters import Counters
from ferstream.telemetry.health import Heartbeats
from ferstream.telemetry.watchdog import Watchdog, format_stacks
from tests.support.clock import FakeClock

JOIN_S = 10.0


class Calls:
    """Records the calls of the watchdog."""

    def __init__(self) -> None:
        self.alive = 0
        self.stuck: list[str] = []
        self.happened = threading.Event()

    def on_alive(self) -> None:
        self.alive += 1
        self.happened.set()

    def on_stuck(self, stage: str) -> None:
        self.stuck.append(stage)
        self.happened.set()


def watchdog_of(counters: Counters, clock: FakeClock, calls: Calls, *, interval_s: float = 2.0) -> Watchdog:
    heartbeats = Heartbeats(beats=lambda: counters.snapshot().beats, stale_after_s=5, clock=clock)
    return Watchdog(heartbeats=heartbeats, interval_s=interval_s, on_alive=calls.on_alive, on_stuck=calls.on_stuck, clock=clock)


def check_for(watchdog: Watchdog, clock: FakeClock, seconds: float) -> bool:
    for _ in range(int(seconds)):
        clock.advance(1)
        healthy = watchdog.check()
    return healthy


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_the_watchdog_is_reset_while_stages_make_progress(clock: FakeClock, calls: Calls) -> None:
    counters = Counters(clock=clock)
    watchdog = watchdog_of(counters, clock, calls)
    for _ in range(20):
        counters.beat("capture")
        assert check_for(watchdog, clock, 1)
    assert (calls.alive, calls.stuck) == (20, [])


def test_a_stuck_stage_is_reported_once_without_a_reset(clock: FakeClock, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters(clock=clock)
    watchdog = watchdog_of(counters, clock, calls)
    counters.beat("inference")
    check_for(watchdog, clock, 5)
    resets = calls.alive
    with caplog.at_level(logging.CRITICAL):
        assert not check_for(watchdog, clock, 4)
    assert (calls.alive, calls.stuck) == (resets, ["inference"])
    assert "stage inference made no progress for 6.0 s" in caplog.text
    assert "in test_a_stuck_stage_is_reported_once_without_a_reset" in caplog.text


def test_a_stage_that_recovers_and_hangs_again_is_reported_twice(clock: FakeClock, calls: Calls) -> None:
    counters = Counters(clock=clock)
    watchdog = watchdog_of(counters, clock, calls)
    for _ in range(2):
        counters.beat("inference")
        assert check_for(watchdog, clock, 1)
        assert not check_for(watchdog, clock, 8)
    assert calls.stuck == ["inference", "inference"]


def test_a_suspended_process_does_not_count_as_stuck(clock: FakeClock, calls: Calls) -> None:
    counters = Counters(clock=clock)
    watchdog = watchdog_of(counters, clock, calls)
    counters.beat("capture")
    check_for(watchdog, clock, 1)
    clock.advance(3600)
    assert watchdog.check()
    assert check_for(watchdog, clock, 4)
    assert not check_for(watchdog, clock, 4)
    assert calls.stuck == ["capture"]


def test_the_thread_checks_and_ends(clock: FakeClock, calls: Calls) -> None:
    counters = Counters(clock=clock)
    counters.beat("capture")
    watchdog = watchdog_of(counters, clock, calls, interval_s=0.005)
    watchdog.start()
    assert calls.happened.wait(JOIN_S)
    watchdog.stop()
    assert not watchdog.alive
    assert calls.alive >= 1
    watchdog.stop()


def test_stop_interrupts_a_long_wait(clock: FakeClock, calls: Calls) -> None:
    watchdog = watchdog_of(Counters(clock=clock), clock, calls, interval_s=3600)
    watchdog.start()
    watchdog.stop(timeout_s=JOIN_S)
    assert not watchdog.alive
    assert calls.alive == 0


def test_stop_before_start_is_allowed(clock: FakeClock, calls: Calls) -> None:
    watchdog_of(Counters(clock=clock), clock, calls).stop()


def test_stacks_show_every_thread_without_its_variables() -> None:
    inside, leave = threading.Event(), threading.Event()

    def stand_still(password: str) -> None:
        local_secret = f"{password}!"
        inside.set()
        leave.wait(JOIN_S)
        assert local_secret

    thread = threading.Thread(target=stand_still, args=("hunter2",), name="detection-7")
    thread.start()
    try:
        assert inside.wait(JOIN_S)
        text = format_stacks()
    finally:
        leave.set()
        thread.join(JOIN_S)
    assert "thread detection-7:" in text
    assert "stand_still" in text
    assert "thread MainThread:" in text
    assert "hunter2" not in text


def test_an_interval_of_zero_is_refused(clock: FakeClock, calls: Calls) -> None:
    with pytest.raises(ValueError, match="interval_s"):
        watchdog_of(Counters(clock=clock), clock, calls, interval_s=0)
