"""Calls with a limit."""

from __future__ import annotations

import threading
import time

import pytest

from ferstream.runtime.deadline import DeadlineCall


def test_a_result_comes_back(no_new_threads: None) -> None:
    assert DeadlineCall(lambda: 3, name="t", timeout_s=10).result() == 3


def test_an_error_comes_back_as_itself(no_new_threads: None) -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        DeadlineCall(fail, name="t", timeout_s=10).result()


def test_calls_run_side_by_side(no_new_threads: None) -> None:
    meet = threading.Barrier(3)
    attempts = [DeadlineCall(lambda: meet.wait(10), name=f"t{n}", timeout_s=10) for n in range(3)]
    assert sorted(attempt.result() for attempt in attempts) == [0, 1, 2]


def test_what_hangs_is_left_behind_and_cannot_keep_the_process() -> None:
    release = threading.Event()
    attempt = DeadlineCall(lambda: release.wait(60), name="hung", timeout_s=0.05)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        attempt.result()
    assert time.monotonic() - began < 30
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "hung")
    assert thread.daemon
    release.set()
    thread.join(10)
    assert attempt.result() is True


def test_the_limit_counts_from_the_beginning_not_from_the_wait() -> None:
    release = threading.Event()
    attempt = DeadlineCall(lambda: release.wait(60), name="t", timeout_s=0)
    with pytest.raises(TimeoutError):
        attempt.result()
    release.set()
