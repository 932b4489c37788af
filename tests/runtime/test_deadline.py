"""Calls with a time limit."""

from __future__ import annotations

import threading

import pytest

from ferstream.runtime.deadline import DeadlineCall


def test_the_result_of_a_call_is_returned(no_new_threads: None) -> None:
    assert DeadlineCall(lambda: 3, name="t", timeout_s=10).result() == 3


def test_the_error_of_a_call_is_raised(no_new_threads: None) -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        DeadlineCall(fail, name="t", timeout_s=10).result()


def test_calls_run_in_parallel(no_new_threads: None) -> None:
    meet = threading.Barrier(3)
    attempts = [DeadlineCall(lambda: meet.wait(10), name=f"t{n}", timeout_s=10) for n in range(3)]
    assert sorted(attempt.result() for attempt in attempts) == [0, 1, 2]


def test_a_hanging_call_times_out_in_a_daemon_thread() -> None:
    release = threading.Event()
    attempt = DeadlineCall(lambda: release.wait(60), name="hung", timeout_s=0.05)
    with pytest.raises(TimeoutError):
        attempt.result()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "hung")
    assert thread.daemon
    release.set()
    thread.join(10)
    assert attempt.result() is True


def test_the_limit_counts_from_the_start_of_the_call() -> None:
    release = threading.Event()
    attempt = DeadlineCall(lambda: release.wait(60), name="t", timeout_s=0)
    with pytest.raises(TimeoutError):
        attempt.result()
    release.set()
