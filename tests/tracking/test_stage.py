"""The tracking stage: one tracker per connection, from its first frame to its end."""

from __future__ import annotations

import pytest

from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream
from ferstream.domain.track import TrackedFrame, TrackState
from ferstream.errors import ClosedError
from ferstream.runtime.channel import Channel
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import Stage
from ferstream.tracking.stage import TrackingHandler
from tests.support.builders import detected_frame
from tests.support.run_stage import StageRun, run_stage
from tests.support.runners import PATIENCE_S, ScriptedTracker
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

In = DetectedFrame | EndOfStream
Out = tuple[TrackedFrame | EndOfStream, ...]


class Trackers:
    """Makes trackers and records their cameras."""

    def __init__(self, *, fails_at: set[int] | None = None) -> None:
        self.made: list[str] = []
        self._fails_at = fails_at or set()

    def __call__(self, camera: str) -> ScriptedTracker:
        self.made.append(camera)
        return ScriptedTracker(camera, fails_at=self._fails_at)


def test_each_camera_has_its_own_tracker() -> None:
    trackers, counters = Trackers(), Counters()
    track = TrackingHandler(new_tracker=trackers, observer=counters)
    for camera in ("door", "yard", "door"):
        (result,) = track(detected_frame(camera=camera))
        assert isinstance(result, TrackedFrame)
        assert all(face.track.id.startswith(camera) for face in result.faces)
    assert trackers.made == ["door", "yard"]
    assert counters.snapshot().frames == {("door", "tracking"): 2, ("yard", "tracking"): 1}


def test_the_end_of_a_source_ends_its_tracks_in_an_item_that_is_not_counted() -> None:
    trackers, counters = Trackers(), Counters()
    track = TrackingHandler(new_tracker=trackers, observer=counters)
    track(detected_frame(4, greys=(1, 2)))
    end_of_stream, end = track(EndOfStream("door", final=True))
    assert isinstance(end_of_stream, TrackedFrame)
    assert end_of_stream.end_of_stream
    assert end_of_stream.info.index == 4
    assert [one.state for one in end_of_stream.ended] == [TrackState.LEFT] * 2
    assert end == EndOfStream("door", final=True)
    assert counters.snapshot().frames == {("door", "tracking"): 1}


@pytest.mark.parametrize("greys", [(), None])
def test_without_tracks_only_the_end_of_the_source_is_passed_on(greys: tuple[int, ...] | None) -> None:
    track = TrackingHandler(new_tracker=Trackers(), observer=Counters())
    if greys is not None:
        track(detected_frame(greys=greys))
    end = EndOfStream("door", final=False)
    assert track(end) == (end,)


def test_the_next_connection_has_a_new_tracker() -> None:
    trackers = Trackers()
    track = TrackingHandler(new_tracker=trackers, observer=Counters())
    track(detected_frame(0))
    track(EndOfStream("door", final=False))
    (first,) = track(detected_frame(1))
    assert isinstance(first, TrackedFrame)
    assert first.faces[0].track.state is TrackState.APPEARED
    assert trackers.made == ["door", "door"]


def test_the_end_of_one_camera_does_not_affect_another() -> None:
    track = TrackingHandler(new_tracker=Trackers(), observer=Counters())
    track(detected_frame(0))
    track(EndOfStream("yard", final=True))
    (second,) = track(detected_frame(1))
    assert isinstance(second, TrackedFrame)
    assert second.faces[0].track.state is TrackState.PRESENT


def test_a_failed_frame_does_not_affect_the_others() -> None:
    handler = TrackingHandler(new_tracker=Trackers(fails_at={2}), observer=Counters())
    run: StageRun[In, Out] = run_stage([handler], [*map(detected_frame, range(4)), EndOfStream("door", final=True)])
    results = [item for items in run.results for item in items]
    assert [item.info.index for item in results if isinstance(item, TrackedFrame) and not item.end_of_stream] == [0, 1, 3]
    assert [item.info.index for item, _ in run.failed if isinstance(item, DetectedFrame)] == [2]


def test_stop_while_blocked_on_a_full_output() -> None:
    source: Channel[In] = Channel(capacity=8)
    target: Channel[TrackedFrame | EndOfStream] = Channel(capacity=1)
    refused: list[object] = []

    def emit(item: In, results: Out) -> None:
        for result in results:
            try:
                target.put(result)
            except ClosedError:
                refused.append(result)

    run: StageRun[In, Out] = StageRun()
    handler = TrackingHandler(new_tracker=Trackers(), observer=run.counters)
    stage = Stage(name="tracking", handlers=[handler], hooks=run.hooks(source.get, emit=emit), observer=run.counters)
    stage.start()
    for index in range(4):
        source.put(detected_frame(index))
    wait_until(lambda: target.blocked_writers == 1 and len(source) == 2)
    source.close()
    waiting = Task(lambda: stage.join(PATIENCE_S))
    assert len(target.abandon()) == 1
    assert waiting.result()
    assert not any(thread.is_alive() for thread in stage.threads)
    assert len(refused) == 3
    assert (run.ends, run.fatal, run.failed) == (1, [], [])
