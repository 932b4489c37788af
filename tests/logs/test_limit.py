"""Repeated lines are suppressed and counted."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from ferstream.logs import RepeatLimit
from ferstream.logs.render import FIELDS, REPEATED


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)

    def utc_ns(self) -> int:
        return 0


def record(message: str, camera: str = "a", level: int = logging.WARNING) -> logging.LogRecord:
    made = logging.LogRecord("x", level, "", 0, message, None, None)
    setattr(made, FIELDS, {"camera": camera})
    return made


def test_the_first_lines_pass_and_the_suppressed_ones_are_counted() -> None:
    clock = HandClock()
    limit = RepeatLimit(interval_s=10, burst=2, clock=clock)
    assert [limit.filter(record("cut off")) for _ in range(5)] == [True, True, False, False, False]
    clock.now_s = 9.9
    assert not limit.filter(record("cut off"))
    clock.now_s = 10
    after = record("cut off")
    assert limit.filter(after)
    assert getattr(after, REPEATED) == 4
    again = record("cut off")
    assert limit.filter(again)
    assert not hasattr(again, REPEATED)


def test_events_cameras_and_levels_are_counted_apart() -> None:
    limit = RepeatLimit(burst=1, clock=HandClock())
    different = [record("x"), record("y"), record("x", "b"), record("x", level=logging.ERROR)]
    assert all(limit.filter(one) for one in different)
    assert not any(limit.filter(one) for one in different)


def test_the_camera_of_a_standard_record_counts_too() -> None:
    limit = RepeatLimit(burst=1, clock=HandClock())
    one, other = (logging.makeLogRecord({"msg": "x", "camera": name}) for name in "ab")
    assert limit.filter(one)
    assert limit.filter(other)


def test_the_arguments_of_a_message_do_not_make_it_another_one() -> None:
    limit = RepeatLimit(burst=1, clock=HandClock())
    assert [limit.filter(logging.LogRecord("x", 30, "", 0, "frame %d", (n,), None)) for n in range(3)] == [True, False, False]


def test_above_the_greatest_number_of_different_lines_all_are_forgotten() -> None:
    limit = RepeatLimit(burst=1, max_keys=2, clock=HandClock())
    assert [limit.filter(record(text)) for text in ("a", "b", "a", "b")] == [True, True, False, False]
    assert limit.filter(record("c"))
    assert [limit.filter(record(text)) for text in ("a", "c")] == [True, False]


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_each_line_is_shown_or_counted(moments: list[float], burst: int) -> None:
    clock = HandClock()
    limit = RepeatLimit(interval_s=10, burst=burst, clock=clock)
    shown = counted = 0
    for moment in sorted(moments):
        clock.now_s = moment
        made = record("x")
        if limit.filter(made):
            shown, counted = shown + 1, counted + getattr(made, REPEATED, 0)
    clock.now_s = 100
    last = record("x")
    assert limit.filter(last)
    assert shown + counted + getattr(last, REPEATED, 0) == len(moments)
