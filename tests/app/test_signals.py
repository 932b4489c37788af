"""Signals, at any instruction of the main thread."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from ferstream.app.signals import Signals, handled, stopping
from tests.support.runners import PATIENCE_S

pytestmark = pytest.mark.usefixtures("no_new_threads")


def at_every_line_of(function: str, act: Any) -> Any:
    """A tracer that calls ``act`` at each line of a function of that name."""

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_name != function:
            return trace
        if event == "line":
            act()
        return trace

    return trace


def test_a_signal_during_a_wait_of_the_main_loop_is_not_lost() -> None:
    signals = Signals()
    with handled(signals):
        old = sys.gettrace()
        try:
            for function in ("clear", "wait"):
                sys.settrace(at_every_line_of(function, lambda: os.kill(os.getpid(), signal.SIGHUP)))
                signals.wake.wait(0)
                signals.wake.clear()
        finally:
            sys.settrace(old)
        assert signals.take_reload()
        assert not signals.take_reload()
        assert (signals.stop_asked, signals.received) == (False, None)
        os.kill(os.getpid(), signal.SIGTERM)
    assert (signals.stop_asked, signals.received) == (True, signal.SIGTERM)


def test_the_previous_handlers_are_restored() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    with handled(Signals()), stopping(threading.Event()):
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_stop_reaches_an_event_that_the_main_thread_waits_for() -> None:
    stop = threading.Event()
    todo = [signal.SIGINT]

    def once() -> None:
        if todo:
            os.kill(os.getpid(), todo.pop())

    with stopping(stop):
        old = sys.gettrace()
        try:
            sys.settrace(at_every_line_of("wait", once))
            stop.wait(0)
        finally:
            sys.settrace(old)
        assert stop.wait(PATIENCE_S)


def test_stop_stays_unset_without_a_signal() -> None:
    stop = threading.Event()
    with stopping(stop):
        pass
    assert not stop.is_set()
