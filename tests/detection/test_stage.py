"""The work of a detection thread, and the order of each camera's frames."""

from __future__ import annotations

import threading

import pytest

from ferstream.detection.stage import DetectionHandler, InOrder, NumberedFrame
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream, Frame
from ferstream.runtime.channel import Lanes, Overflow
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import Stage
from tests.support.builders import frame
from tests.support.clock import FakeClock
from tests.support.run_stage import StageRun
from tests.support.runners import PATIENCE_S, Gate, Scripted, ScriptedLooker
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

Result = DetectedFrame | EndOfStream | None


def handler(finder: ScriptedLooker, *, counters: Counters, clock: FakeClock | None = None) -> DetectionHandler:
    """One worker with a staleness budget of half a second."""
    return DetectionHandler(find=finder, staleness_s=0.5, observer=counters, clock=clock or FakeClock())


class TestHandler:
    """Faces are found in frames that are not too old."""

    def test_faces_are_found_and_counted(self) -> None:
        counters = Counters()
        result = handler(ScriptedLooker(faces=2, without_crop=1), counters=counters)(("door", 0, frame(3)))
        assert isinstance(result, DetectedFrame)
        assert (result.info.index, len(result.faces)) == (3, 3)
        snapshot = counters.snapshot()
        assert snapshot.faces == {("door", "found"): 3}
        assert snapshot.frames == {("door", "detection"): 1}

    @pytest.mark.parametrize(("age_s", "is_seen"), [(0.5, True), (0.500001, False), (10.0, False)])
    def test_a_live_frame_older_than_the_budget_is_dropped_before_detection(self, age_s: float, is_seen: bool) -> None:
        counters, clock, finder = Counters(), FakeClock(), ScriptedLooker()
        old = frame(live=True, captured_ns=clock.monotonic_ns())
        clock.advance(age_s)
        result = handler(finder, counters=counters, clock=clock)(("door", 0, old))
        assert (result is not None) == is_seen
        assert bool(finder.seen) == is_seen
        assert counters.snapshot().dropped == ({} if is_seen else {("door", "detection", "stale"): 1})

    def test_a_frame_of_a_recording_is_never_stale(self) -> None:
        clock = FakeClock()
        waiting = frame(live=False, captured_ns=clock.monotonic_ns())
        clock.advance(3600)
        assert handler(ScriptedLooker(), counters=Counters(), clock=clock)(("door", 0, waiting)) is not None

    def test_the_end_of_a_source_is_passed_on_without_detection(self) -> None:
        counters, finder, end = Counters(), ScriptedLooker(), EndOfStream("door", final=True)
        assert handler(finder, counters=counters)(("door", 0, end)) is end
        assert finder.seen == []
        assert counters.snapshot().frames == {}

    def test_a_failed_frame_is_not_counted_as_detected(self) -> None:
        counters = Counters()
        with pytest.raises(Scripted):
            handler(ScriptedLooker(fails_at={0}), counters=counters)(("door", 0, frame()))
        assert counters.snapshot().frames == {}
        assert counters.snapshot().faces == {}


def stage_of(handlers: list[DetectionHandler], ordered: InOrder, run: StageRun[NumberedFrame, Result]) -> Stage[NumberedFrame, Result]:
    """The stage as the pipeline builds it."""
    hooks = run.hooks(ordered.take, emit=ordered.put, on_failed=ordered.skip)
    return Stage(name="detection", handlers=handlers, hooks=hooks, observer=run.counters)


class TestInOrder:
    """Several workers, and the frames of each camera in order."""

    def test_later_frames_do_not_overtake_a_slow_first_one(self) -> None:
        gate, out = Gate(), list[DetectedFrame | EndOfStream]()
        slow_first = threading.Lock()

        def hold_first() -> None:
            if slow_first.acquire(blocking=False):
                gate()

        lanes: Lanes[Frame | EndOfStream] = Lanes()
        lane = lanes.open("door", capacity=20, overflow=Overflow.BLOCK)
        run: StageRun[NumberedFrame, Result] = StageRun()
        finder = ScriptedLooker(gate=hold_first, fails_at={4})
        stage = stage_of([handler(finder, counters=run.counters) for _ in range(3)], InOrder(emit=out.append, lanes=lanes), run)
        stage.start()
        for index in range(10):
            lane.put(frame(index))
        lane.put(EndOfStream("door", final=True))
        assert gate.reached.wait(PATIENCE_S)
        wait_until(lambda: len(lanes) == 0)
        wait_until(lambda: len(run.failed) == 1)
        assert out == []
        gate.open()
        lanes.close()
        assert stage.join(PATIENCE_S)
        indices = [item.info.index for item in out if isinstance(item, DetectedFrame)]
        assert indices == [0, 1, 2, 3, 5, 6, 7, 8, 9]
        assert isinstance(out[-1], EndOfStream)

    def test_stop_while_blocked_on_empty_lanes(self) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        lanes.open("door", capacity=2, overflow=Overflow.DROP_OLDEST)
        run: StageRun[NumberedFrame, Result] = StageRun()
        workers = [handler(ScriptedLooker(), counters=run.counters) for _ in range(2)]
        stage = stage_of(workers, InOrder(emit=lambda item: None, lanes=lanes), run)
        stage.start()
        wait_until(lambda: lanes.waiting_readers == 2)
        lanes.close()
        assert stage.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in stage.threads)
        assert (run.ends, run.fatal) == (1, [])

    def test_results_held_for_a_slower_worker_can_be_abandoned(self) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        ordered = InOrder(emit=lambda item: None, lanes=lanes)
        end = EndOfStream("door", final=True)
        ordered.put(("door", 1, end), end)
        ordered.put(("door", 2, frame()), None)
        assert Task(ordered.abandon).result() == [end]
