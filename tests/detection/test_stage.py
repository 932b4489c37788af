"""The work of a detection thread, and the order of each camera's frames."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ferstream.detection.stage import DetectionHandler, InOrder, NumberedFrame
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream, Frame
from ferstream.errors import ClosedError
from ferstream.runtime.channel import Lanes, Overflow
from ferstream.runtime.counters import Counters
from ferstream.runtime.in_flight import UNLIMITED, InFlight
from ferstream.runtime.stage import Stage
from ferstream.runtime.staleness import ExpectedTime, StalenessLimit
from tests.support.builders import frame
from tests.support.clock import FakeClock
from tests.support.run_stage import StageRun
from tests.support.runners import PATIENCE_S, Gate, Scripted, ScriptedLooker
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

Result = DetectedFrame | EndOfStream


def handler(finder: ScriptedLooker, *, counters: Counters) -> DetectionHandler:
    """One worker."""
    return DetectionHandler(find=finder, observer=counters)


def in_order(
    lanes: Lanes[Frame | EndOfStream],
    *,
    emit: Callable[[DetectedFrame | EndOfStream], None] = lambda item: None,
    limit: int = UNLIMITED,
    clock: FakeClock | None = None,
    counters: Counters | None = None,
) -> InOrder:
    """The input and output of the stage, with a staleness budget of half a second."""
    clock = clock or FakeClock()
    return InOrder(
        emit=emit,
        lanes=lanes,
        in_flight=InFlight(limit=limit, target_s=0.25, clock=clock),
        limit=StalenessLimit(budget_s=0.5, rest=ExpectedTime(), deviations=0.0, clock=clock),
        observer=counters or Counters(),
    )


class TestHandler:
    """Faces are found and counted."""

    def test_faces_are_found_and_counted(self) -> None:
        counters = Counters()
        result = handler(ScriptedLooker(faces=2, without_crop=1), counters=counters)(("door", 0, frame(3)))
        assert isinstance(result, DetectedFrame)
        assert (result.info.index, len(result.faces)) == (3, 3)
        snapshot = counters.snapshot()
        assert snapshot.faces == {("door", "found"): 3}
        assert snapshot.frames == {("door", "detection"): 1}

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


class TestTake:
    """What a worker takes: the freshest frame, if there is room in flight."""

    @pytest.mark.parametrize(("age_s", "is_taken"), [(0.5, True), (0.500001, False), (10.0, False)])
    def test_a_live_frame_that_is_too_old_is_dropped_before_detection(self, age_s: float, is_taken: bool) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        counters, clock = Counters(), FakeClock()
        lanes.open("door", capacity=1, overflow=Overflow.DROP_OLDEST).put(frame(live=True, captured_ns=clock.monotonic_ns()))
        clock.advance(age_s)
        ordered = in_order(lanes, clock=clock, counters=counters)
        if is_taken:
            assert ordered.take(0)[:2] == ("door", 0)
        else:
            with pytest.raises(TimeoutError):
                ordered.take(0)
        assert counters.snapshot().dropped == ({} if is_taken else {("door", "detection", "stale"): 1})

    def test_a_frame_of_a_recording_is_never_too_old(self) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        clock = FakeClock()
        lanes.open("film", capacity=1, overflow=Overflow.BLOCK).put(frame(camera="film", captured_ns=clock.monotonic_ns()))
        clock.advance(3600)
        assert in_order(lanes, clock=clock).take(0)[0] == "film"

    def test_a_frame_that_was_dropped_is_no_service_to_its_camera(self) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        clock = FakeClock()
        door, yard = (lanes.open(name, capacity=1, overflow=Overflow.DROP_OLDEST) for name in ("door", "yard"))
        door.put(frame(0, live=True, captured_ns=clock.monotonic_ns()))
        clock.advance(0.6)
        yard.put(frame(0, camera="yard", live=True, captured_ns=clock.monotonic_ns()))
        ordered = in_order(lanes, clock=clock)
        assert ordered.take(0)[0] == "yard"
        for lane in (yard, door):
            lane.put(frame(1, camera=lane.key, live=True, captured_ns=clock.monotonic_ns()))
        assert ordered.take(0)[0] == "door"

    def test_frames_stay_in_their_lanes_while_there_is_no_room_in_flight(self) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        lane = lanes.open("door", capacity=5, overflow=Overflow.BLOCK)
        for index in range(3):
            lane.put(frame(index))
        ordered = in_order(lanes, limit=1)
        numbered = ordered.take(0)
        with pytest.raises(TimeoutError):
            ordered.take(0)
        assert len(lanes) == 2
        ordered.skip(numbered)
        assert ordered.take(0)[1] == 1

    def test_the_end_of_a_source_takes_no_place(self) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        lane = lanes.open("door", capacity=5, overflow=Overflow.BLOCK)
        for _ in range(3):
            lane.put(EndOfStream("door", final=False))
        ordered = in_order(lanes, limit=1)
        assert [ordered.take(0)[1] for _ in range(3)] == [0, 1, 2]

    @pytest.mark.parametrize("ends", [True, False])
    def test_a_worker_that_finds_nothing_gives_its_place_back(self, ends: bool) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        ordered = in_order(lanes, limit=1)
        if ends:
            lanes.close()
        for _ in range(3):
            with pytest.raises(ClosedError if ends else TimeoutError):
                ordered.take(0)


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
        stage = stage_of([handler(finder, counters=run.counters) for _ in range(3)], in_order(lanes, emit=out.append), run)
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
        stage = stage_of(workers, in_order(lanes), run)
        stage.start()
        wait_until(lambda: lanes.waiting_readers == 2)
        lanes.close()
        assert stage.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in stage.threads)
        assert (run.ends, run.fatal) == (1, [])

    def test_results_held_for_a_slower_worker_can_be_abandoned(self) -> None:
        lanes: Lanes[Frame | EndOfStream] = Lanes()
        ordered = in_order(lanes)
        end = EndOfStream("door", final=True)
        ordered.put(("door", 1, end), end)
        ordered.skip(("door", 2, frame()))
        assert Task(ordered.abandon).result() == [end]
