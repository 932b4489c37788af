"""One deadline for all joins, and the first fatal error."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from ferstream.runtime.clock import SystemClock
from ferstream.runtime.supervisor import Fatal, join_all
from tests.support.runners import Scripted
from tests.support.threads import Task


@dataclass
class Part:
    """A part that ends at once or never, and records its timeouts."""

    name: str
    ends: bool
    waits: list[float] = field(default_factory=list)

    def join(self, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        if not self.ends:
            threading.Event().wait(timeout_s)
        return self.ends


def test_join_all_returns_the_names_of_parts_that_did_not_end() -> None:
    parts = [Part("a", True), Part("b", False), Part("c", True), Part("d", False)]
    assert join_all(parts, timeout_s=0.02) == ["b", "d"]


def test_all_parts_share_one_deadline() -> None:
    parts = [Part(name, False) for name in "abc"]
    join_all(parts, timeout_s=0.05)
    first, second, third = (part.waits[0] for part in parts)
    assert 0 < first <= 0.05
    assert first > second >= third >= 0  # not 0.05 for each


def test_join_all_of_no_parts() -> None:
    assert join_all([], timeout_s=1) == []


class TestFatal:
    """Any thread reports; the first error is kept."""

    def test_there_is_no_error_at_first(self) -> None:
        fatal = Fatal()
        assert (fatal.first, fatal.is_set()) == (None, False)

    def test_the_first_error_is_kept(self) -> None:
        fatal, first = Fatal(), Scripted("first")
        fatal.report("detection", first)
        fatal.report("tracking", Scripted("second"))
        assert fatal.first == ("detection", first)
        assert fatal.is_set()

    @pytest.mark.usefixtures("no_new_threads")
    def test_one_error_of_many_at_once_is_kept(self) -> None:
        fatal, together = Fatal(), threading.Barrier(4)
        errors = {name: Scripted(name) for name in "abcd"}

        def report(name: str) -> None:
            together.wait()
            fatal.report(name, errors[name])

        for task in [Task(lambda name=name: report(name)) for name in errors]:  # type: ignore[misc]
            task.result()
        assert fatal.first in list(errors.items())


def test_the_system_clock_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic_ns() for _ in range(100)]
    assert readings == sorted(readings)
    assert clock.utc_ns() > 1_700_000_000_000_000_000
