"""The work of a detection thread, and the order of each camera."""

from __future__ import annotations

import threading

import pytest

from ferstream.detection.stage import DetectionHandler, InOrder, Ticket
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame, SourceEnded
from ferstream.runtime.channel import Lanes, Overflow
from ferstream.runtime.ledger import Ledger
from ferstream.runtime.stage import Stage
from tests.support.builders import frame
from tests.support.clock import FakeClock
from tests.support.run_stage import StageRun
from tests.support.runners import PATIENCE_S, Gate, Scripted, ScriptedLooker
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

Result = DetectedFrame | SourceEnded | None


def handler(looker: ScriptedLooker, *, ledger: Ledger, clock: FakeClock | None = None) -> DetectionHandler:
    """One worker with a budget of half a second."""
    return DetectionHandler(look=looker, staleness_s=0.5, observer=ledger, clock=clock or FakeClock())


class TestHandler:
    """Frames become faces, unless they are too old."""

    def test_faces_are_found_and_counted(self) -> None:
        ledger = Ledger()
        result = handler(ScriptedLooker(faces=2, without_crop=1), ledger=ledger)(("door", 0, frame(3)))
        assert isinstance(result, DetectedFrame)
        assert (result.info.index, len(result.faces)) == (3, 3)
        snapshot = ledger.snapshot()
        assert snapshot.faces == {("door", "found"): 3}
        assert snapshot.frames == {("door", "detection"): 1}

    @pytest.mark.parametrize(("age_s", "is_seen"), [(0.5, True), (0.500001, False), (10.0, False)])
    def test_a_live_frame_beyond_the_budget_is_dropped_unseen(self, age_s: float, is_seen: bool) -> None:
        ledger, clock, looker = Ledger(), FakeClock(), ScriptedLooker()
        old = frame(live=True, captured_ns=clock.monotonic_ns())
        clock.advance(age_s)
        result = handler(looker, ledger=ledger, clock=clock)(("door", 0, old))
        assert (result is not None) == is_seen
        assert bool(looker.seen) == is_seen
        assert ledger.snapshot().dropped == ({} if is_seen else {("door", "detection", "stale"): 1})

    def test_a_frame_of_a_recording_is_never_stale(self) -> None:
        clock = FakeClock()
        waiting = frame(live=False, captured_ns=clock.monotonic_ns())
        clock.advance(3600)
        assert handler(ScriptedLooker(), ledger=Ledger(), clock=clock)(("door", 0, waiting)) is not None

    def test_the_end_of_a_source_passes_through_unlooked_at(self) -> None:
        ledger, looker, end = Ledger(), ScriptedLooker(), SourceEnded("door", final=True)
        assert handler(looker, ledger=ledger)(("door", 0, end)) is end
        assert looker.seen == []
        assert ledger.snapshot().frames == {}

    def test_a_failing_look_is_not_counted_as_looked_at(self) -> None:
        ledger = Ledger()
        with pytest.raises(Scripted):
            handler(ScriptedLooker(fails_at={0}), ledger=ledger)(("door", 0, frame()))
        assert ledger.snapshot().frames == {}
        assert ledger.snapshot().faces == {}


def stage_of(handlers: list[DetectionHandler], ordered: InOrder, run: StageRun[Ticket, Result]) -> Stage[Ticket, Result]:
    """The stage as the pipeline joins it."""
    hooks = run.hooks(ordered.take, emit=ordered.put, on_failed=ordered.skip)
    return Stage(name="detection", handlers=handlers, hooks=hooks, observer=run.ledger)


class TestInOrder:
    """Several workers, one order per camera."""

    def test_a_slow_first_frame_does_not_let_the_others_pass(self) -> None:
        gate, out = Gate(), list[DetectedFrame | SourceEnded]()
        slow_first = threading.Lock()

        def hold_first() -> None:
            if slow_first.acquire(blocking=False):
                gate()

        lanes: Lanes[Frame | SourceEnded] = Lanes()
        lane = lanes.open("door", capacity=20, overflow=Overflow.BLOCK)
        run: StageRun[Ticket, Result] = StageRun()
        looker = ScriptedLooker(gate=hold_first, fails_at={4})
        stage = stage_of([handler(looker, ledger=run.ledger) for _ in range(3)], InOrder(emit=out.append, lanes=lanes), run)
        stage.start()
        for index in range(10):
            lane.put(frame(index))
        lane.put(SourceEnded("door", final=True))
        assert gate.reached.wait(PATIENCE_S)
        wait_until(lambda: len(lanes) == 0)
        wait_until(lambda: len(run.failed) == 1)
        assert out == []
        gate.open()
        lanes.close()
        assert stage.join(PATIENCE_S)
        indices = [item.info.index for item in out if isinstance(item, DetectedFrame)]
        assert indices == [0, 1, 2, 3, 5, 6, 7, 8, 9]
        assert isinstance(out[-1], SourceEnded)

    def test_stop_while_blocked_before_empty_lanes(self) -> None:
        lanes: Lanes[Frame | SourceEnded] = Lanes()
        lanes.open("door", capacity=2, overflow=Overflow.DROP_OLDEST)
        run: StageRun[Ticket, Result] = StageRun()
        workers = [handler(ScriptedLooker(), ledger=run.ledger) for _ in range(2)]
        stage = stage_of(workers, InOrder(emit=lambda item: None, lanes=lanes), run)
        stage.start()
        wait_until(lambda: len(lanes._not_empty._waiters) == 2)  # type: ignore[attr-defined]
        lanes.close()
        assert stage.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in stage.threads)
        assert (run.ends, run.fatal) == (1, [])

    def test_what_waits_for_a_slower_worker_can_be_taken_away(self) -> None:
        lanes: Lanes[Frame | SourceEnded] = Lanes()
        ordered = InOrder(emit=lambda item: None, lanes=lanes)
        end = SourceEnded("door", final=True)
        ordered.put(("door", 1, end), end)
        ordered.put(("door", 2, frame()), None)
        assert Task(ordered.abandon).result() == [end]
