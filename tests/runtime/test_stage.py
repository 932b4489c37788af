"""The loop that every stage runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ferstream.errors import ClosedError, OutputError
from ferstream.runtime.channel import Channel
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import FAILURES_IN_A_ROW, Stage
from tests.support.run_stage import StageRun, run_stage
from tests.support.runners import PATIENCE_S, Gate, Scripted
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


QUICK_S = 0.001
"""Idle time of stages whose idling is tested."""


def double(item: int) -> int:
    """A handler."""
    return 2 * item


def fails_on_odd(item: int) -> int:
    """A handler that fails on odd items."""
    if item % 2:
        raise Scripted(str(item))
    return item


class TestWork:
    """Each item becomes one result or one failure."""

    def test_results_come_in_order_and_are_timed(self) -> None:
        run = run_stage([double], range(5))
        assert run.results == [0, 2, 4, 6, 8]
        assert run.ends == 1
        assert run.counters.snapshot().durations["work"].count == 5

    def test_a_failed_item_is_reported_and_the_next_one_is_processed(self) -> None:
        run = run_stage([fails_on_odd], range(5))
        assert run.results == [0, 2, 4]
        assert [(item, str(error)) for item, error in run.failed] == [(1, "1"), (3, "3")]
        assert run.fatal == []
        assert run.counters.snapshot().durations["work"].count == 3

    def test_an_item_whose_result_cannot_be_emitted_has_failed(self) -> None:
        run: StageRun[int, int] = StageRun()
        channel: Channel[int] = Channel(capacity=2)

        def refuse(item: int, result: int) -> None:
            raise Scripted("emit")

        stage = Stage(name="work", handlers=[double], hooks=run.hooks(channel.get, emit=refuse), observer=run.counters)
        stage.start()
        channel.put(1)
        channel.close()
        assert stage.join(PATIENCE_S)
        assert [item for item, _ in run.failed] == [1]

    def test_a_stage_needs_a_handler(self) -> None:
        with pytest.raises(ValueError, match="at least one handler"):
            run_stage([], [1])


class TestManyWorkers:
    """Several threads share one input, and the stage ends when all have ended."""

    def test_the_last_thread_calls_on_end_once(self) -> None:
        both_inside = threading.Barrier(2)

        def together(item: int) -> int:
            both_inside.wait(PATIENCE_S)
            return item

        run = run_stage([together, together], range(2))
        assert sorted(run.results) == [0, 1]
        assert run.ends == 1

    def test_threads_are_named_and_dead_afterwards(self) -> None:
        run: StageRun[int, int] = StageRun()
        channel: Channel[int] = Channel(capacity=1)
        stage = Stage(name="work", handlers=[double, double], hooks=run.hooks(channel.get), observer=run.counters)
        assert [thread.name for thread in stage.threads] == ["work-0", "work-1"]
        stage.start()
        channel.close()
        assert stage.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in stage.threads)

    def test_on_end_waits_for_the_slowest_thread(self) -> None:
        gate, run = Gate(), StageRun[int, int]()
        channel: Channel[int] = Channel(capacity=2)

        def slow(item: int) -> int:
            gate()
            return item

        stage = Stage(name="work", handlers=[slow, slow], hooks=run.hooks(channel.get), observer=run.counters)
        stage.start()
        channel.put(1)
        channel.close()
        assert gate.reached.wait(PATIENCE_S)
        wait_until(lambda: sum(thread.is_alive() for thread in stage.threads) == 1)
        assert run.ends == 0
        gate.open()
        assert stage.join(PATIENCE_S)
        assert run.ends == 1


class TestBeats:
    """A running stage sends heartbeats; the heartbeat of an ended one is forgotten."""

    def test_a_started_stage_has_a_beat_and_an_ended_one_none(self) -> None:
        run: StageRun[int, int] = StageRun()
        channel: Channel[int] = Channel(capacity=1)
        stage = Stage(name="work", handlers=[double], hooks=run.hooks(channel.get), observer=run.counters)
        stage.start()
        assert set(run.counters.snapshot().beats) == {"work"}
        channel.close()
        assert stage.join(PATIENCE_S)
        assert run.counters.snapshot().beats == {}

    def test_an_idle_stage_sends_heartbeats_and_calls_on_idle_in_its_own_thread(self) -> None:
        idlers: set[str] = set()
        run: StageRun[int, int] = StageRun()
        channel: Channel[int] = Channel(capacity=1)
        hooks = run.hooks(channel.get, on_idle=lambda: idlers.add(threading.current_thread().name))
        stage = Stage(name="work", handlers=[double], hooks=hooks, observer=run.counters, idle_s=QUICK_S)
        stage.start()
        first = run.counters.snapshot().beats["work"]
        wait_until(lambda: bool(idlers) and run.counters.snapshot().beats["work"] > first)
        channel.close()
        assert stage.join(PATIENCE_S)
        assert idlers == {"work"}

    def test_a_hanging_handler_sends_no_heartbeats(self) -> None:
        gate, beats = Gate(), list[str]()

        class Watch(Counters):
            def beat(self, stage: str) -> None:
                beats.append(stage)

        run: StageRun[int, None] = StageRun(counters=Watch())
        channel: Channel[int] = Channel(capacity=1)
        stage = Stage(name="work", handlers=[lambda item: gate()], hooks=run.hooks(channel.get), observer=run.counters)
        stage.start()
        channel.put(1)
        assert gate.reached.wait(PATIENCE_S)
        assert beats == ["work"]  # the one of the start
        gate.open()
        channel.close()
        assert stage.join(PATIENCE_S)
        assert beats == ["work", "work"]


class TestFatal:
    """A stage that cannot work reports a fatal error."""

    def always_fails(self, item: int) -> int:
        raise OutputError(f"disk full at {item}")

    def test_many_failures_in_a_row_are_fatal_with_the_last_error(self) -> None:
        run = run_stage([self.always_fails], range(FAILURES_IN_A_ROW + 10))
        ((name, error),) = run.fatal
        assert name == "work"
        assert isinstance(error, OutputError)  # its exit code is the process's
        assert str(error) == f"disk full at {FAILURES_IN_A_ROW - 1}"
        assert error.__notes__ == [f"{FAILURES_IN_A_ROW} items in a row failed in work"]
        assert len(run.failed) == FAILURES_IN_A_ROW + 10  # and failed items are still reported until the stage is stopped

    def test_one_success_resets_the_number_of_failures(self) -> None:
        good = FAILURES_IN_A_ROW - 1

        def mostly_fails(item: int) -> int:
            return item if item == good else self.always_fails(item)

        assert run_stage([mostly_fails], range(2 * FAILURES_IN_A_ROW - 1)).fatal == []

    @pytest.mark.parametrize("error", [Scripted("idle"), KeyboardInterrupt()])
    def test_a_failing_on_idle_is_fatal(self, error: BaseException) -> None:
        run: StageRun[int, int] = StageRun()
        channel: Channel[int] = Channel(capacity=1)

        def on_idle() -> None:
            raise error

        hooks = run.hooks(channel.get, on_idle=on_idle)
        stage = Stage(name="work", handlers=[double], hooks=hooks, observer=run.counters, idle_s=QUICK_S)
        stage.start()
        assert stage.join(PATIENCE_S)
        assert run.fatal == [("work", error)]
        assert run.ends == 1

    def test_a_failing_input_is_fatal(self) -> None:
        run: StageRun[int, int] = StageRun()

        def take(timeout_s: float) -> int:
            raise Scripted("take")

        stage = Stage(name="work", handlers=[double], hooks=run.hooks(take), observer=run.counters)
        stage.start()
        assert stage.join(PATIENCE_S)
        assert [name for name, _ in run.fatal] == ["work"]
        assert run.ends == 1
        assert run.counters.snapshot().beats == {}


class TestStopWhileBlocked:
    """A stage that is blocked on its input or output ends when the channels close."""

    def test_blocked_on_an_empty_input(self) -> None:
        run: StageRun[int, int] = StageRun()
        channel: Channel[int] = Channel(capacity=1)
        stage = Stage(name="work", handlers=[double, double], hooks=run.hooks(channel.get), observer=run.counters)
        stage.start()
        assert not stage.join(0)
        channel.close()
        assert stage.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in stage.threads)

    @pytest.mark.parametrize("end", [Channel.close, Channel.abandon])
    def test_blocked_on_a_full_output(self, end: Callable[[Channel[int]], object]) -> None:
        source: Channel[int] = Channel(capacity=4)
        target: Channel[int] = Channel(capacity=1)
        lost: list[int] = []

        def emit(item: int, result: int) -> None:
            try:
                target.put(result)
            except ClosedError:
                lost.append(result)

        run: StageRun[int, int] = StageRun()
        stage = Stage(name="work", handlers=[double], hooks=run.hooks(source.get, emit=emit), observer=run.counters)
        stage.start()
        for item in range(4):
            source.put(item)
        wait_until(lambda: len(target) == 1 and len(source) == 2)
        source.close()
        ending = Task(lambda: stage.join(PATIENCE_S))
        end(target)
        assert ending.result()
        assert not any(thread.is_alive() for thread in stage.threads)
        assert lost == [2, 4, 6]
        assert run.failed == []
        assert run.fatal == []
