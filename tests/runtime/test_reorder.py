"""Results of parallel workers come out in each lane's order."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.reorder import Reorder
from tests.support.runners import PATIENCE_S, Gate, Scripted
from tests.support.threads import Task

pytestmark = pytest.mark.usefixtures("no_new_threads")


@st.composite
def finishing_orders(draw: st.DrawFn) -> list[tuple[str, int, bool]]:
    """Numbers of two lanes in any order of finishing; True for those without a result."""
    items = [("a", number) for number in range(draw(st.integers(0, 8)))] + [("b", number) for number in range(draw(st.integers(0, 8)))]
    order = draw(st.permutations(items))
    return [(key, number, draw(st.booleans())) for key, number in order]


@given(finishing_orders())
def test_results_come_out_in_order_and_once_in_any_order_of_finishing(order: list[tuple[str, int, bool]]) -> None:
    out: list[tuple[str, int]] = []
    reorder = Reorder(out.append)
    for key, number, skipped in order:
        if skipped:
            reorder.skip(key, number)
        else:
            reorder.put(key, number, (key, number))
        for lane in "ab":
            mine = [n for k, n in out if k == lane]
            assert mine == sorted(mine)
    assert sorted(out) == sorted((key, number) for key, number, skipped in order if not skipped)
    assert reorder.abandon() == []


@given(finishing_orders(), st.integers(0, 16))
def test_abandon_loses_and_duplicates_nothing_at_any_moment(order: list[tuple[str, int, bool]], cut: int) -> None:
    out: list[tuple[str, int]] = []
    reorder = Reorder(out.append)
    removed: list[tuple[str, int]] = []
    for place, (key, number, skipped) in enumerate(order):
        if place == cut:
            removed = reorder.abandon()
        if skipped:
            reorder.skip(key, number)
        else:
            reorder.put(key, number, (key, number))
    assert sorted(out + removed) == sorted((key, number) for key, number, skipped in order if not skipped)
    assert reorder.abandon() == []


def test_results_wait_only_for_earlier_ones_of_their_lane() -> None:
    out: list[str] = []
    reorder = Reorder(out.append)
    reorder.put("a", 1, "a1")
    reorder.put("b", 0, "b0")
    assert out == ["b0"]
    reorder.put("a", 0, "a0")
    assert out == ["b0", "a0", "a1"]


def test_a_failing_emit_loses_one_result_and_no_other() -> None:
    out: list[int] = []

    def emit(item: int) -> None:
        if item == 0:
            raise Scripted("emit")
        out.append(item)

    reorder = Reorder(emit)
    reorder.put("a", 1, 1)
    with pytest.raises(Scripted):
        reorder.put("a", 0, 0)
    reorder.put("a", 2, 2)
    assert out == [1, 2]


def test_emit_is_called_by_one_thread_at_a_time() -> None:
    gate, out = Gate(), list[int]()

    def emit(item: int) -> None:
        if item == 0:
            gate()
        out.append(item)

    reorder = Reorder(emit)
    first = Task(lambda: reorder.put("a", 0, 0))
    assert gate.reached.wait(PATIENCE_S)
    second = Task(lambda: reorder.put("a", 1, 1))
    assert out == []
    gate.open()
    first.result()
    second.result()
    assert out == [0, 1]


def test_many_workers_keep_the_order() -> None:
    out: list[int] = []
    reorder = Reorder(out.append)
    numbers, lock = iter(range(2000)), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            if number % 7 == 3:
                reorder.skip("a", number)
            else:
                reorder.put("a", number, number)

    tasks = [Task(work) for _ in range(4)]
    for task in tasks:
        task.result()
    assert out == [number for number in range(2000) if number % 7 != 3]
