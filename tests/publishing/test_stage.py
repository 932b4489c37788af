"""What is published: face events within their limit, changes, states, and summaries per interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from ferstream.domain.event import CameraState, CameraStatus, Event, FaceEvent, LabelledFrame, Summary, TrackChange
from ferstream.domain.frame import EndOfStream, Frame, FrameInfo
from ferstream.domain.ports import LiveView
from ferstream.domain.track import TrackState
from ferstream.events.privacy import UNRESTRICTED, PrivacyRules
from ferstream.publishing.stage import Item, PublishingHandler
from ferstream.publishing.summaries import Summaries
from ferstream.runtime.channel import Channel
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import Stage
from tests.support.builders import camera_state, face_event, labelled_frame, track_event
from tests.support.clock import FakeClock
from tests.support.run_stage import StageRun
from tests.support.runners import PATIENCE_S, Gate, Scripted, ScriptedSink
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


class Desk:
    """A handler with a sink, a clock and counters."""

    def __init__(
        self,
        *,
        interval_s: float = 10.0,
        privacy: PrivacyRules = UNRESTRICTED,
        allow: Callable[[FaceEvent], bool] = lambda event: True,
        fails: Callable[[Event], bool] = lambda event: False,
        gate: Callable[[], None] = lambda: None,
        view: LiveView | None = None,
    ) -> None:
        self.sink, self.clock, self.counters = ScriptedSink(fails=fails, gate=gate), FakeClock(), Counters()
        self.publish = PublishingHandler(
            publish=self.sink.write,
            allow=allow,
            summaries=Summaries(interval_s=interval_s, privacy=privacy, clock=self.clock),
            privacy=privacy,
            observer=self.counters,
            clock=self.clock,
            view=view,
        )


class RecordingView:
    """A live view that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[object] = []
        self.seen: list[int] = []

    def saw(self, info: FrameInfo) -> None:
        self.seen.append(info.index)

    def show(self, item: LabelledFrame | Summary | CameraState) -> None:
        self.shown.append(item)

    def keep_picture(self, frame: Frame) -> None:
        raise AssertionError("publishing has no pictures")

    def drop_pictures(self, keys: Iterable[tuple[str, int]]) -> None:
        raise AssertionError("publishing has no pictures")


class TestLiveView:
    """People who look see what is published, whole frames also where the rate limit thins the events."""

    def test_it_is_shown_each_frame_after_its_events_were_published(self) -> None:
        view = RecordingView()
        desk = Desk(view=view, allow=lambda event: False)
        frame, state = labelled_frame(3, labels=("happy", "sad"), changes=(track_event(3),)), camera_state()
        for item in (frame, state):
            desk.publish(item)
        assert view.shown == [frame, state]
        assert view.seen == [3]
        assert [type(event).__name__ for event in desk.sink.events] == ["TrackEvent", "CameraState"]

    def test_it_is_shown_summaries_also_the_last_one(self) -> None:
        view = RecordingView()
        desk = Desk(view=view)
        desk.publish(labelled_frame(3))
        desk.clock.advance(10)
        desk.publish.tick()
        desk.publish(EndOfStream("door", final=True))
        assert [type(item).__name__ for item in view.shown] == ["LabelledFrame", "Summary", "Summary"]

    def test_with_aggregate_only_no_frame_is_shown(self) -> None:
        view = RecordingView()
        desk = Desk(view=view, privacy=PrivacyRules(aggregate_only=True, min_group_size=2))
        desk.publish(labelled_frame(3, changes=(track_event(3),)))
        desk.publish(camera_state())
        desk.publish(EndOfStream("door", final=True))
        assert [type(item).__name__ for item in view.shown] == ["CameraState", "Summary"]
        assert view.seen == [3]

    def test_a_frame_whose_events_could_not_be_published_is_not_shown(self) -> None:
        view = RecordingView()
        desk = Desk(view=view, fails=lambda event: True)
        with pytest.raises(Scripted):
            desk.publish(labelled_frame(3))
        assert view.shown == []


class TestFrames:
    """Faces and changes are published; the frame is counted when they were."""

    def test_faces_come_before_changes_in_their_order(self) -> None:
        desk = Desk()
        frame = labelled_frame(3, labels=("happy", "sad"), changes=(track_event(3),))
        desk.publish(frame)
        assert desk.sink.events == [*frame.faces, *frame.changes]
        assert desk.counters.snapshot().frames == {("door", "publishing"): 1}
        assert desk.counters.snapshot().events == {("door", "happy"): 1, ("door", "sad"): 1}

    def test_the_rate_limit_holds_back_faces_and_nothing_else(self) -> None:
        desk = Desk(allow=lambda event: event.emotion.verdict.label != "sad")
        desk.publish(labelled_frame(labels=("sad",), changes=(track_event(),)))
        assert [type(event).__name__ for event in desk.sink.events] == ["TrackEvent"]
        assert desk.counters.snapshot().events == {}
        assert desk.counters.snapshot().frames == {("door", "publishing"): 1}

    def test_the_end_of_a_stream_is_not_counted_as_a_frame(self) -> None:
        desk = Desk()
        desk.publish(labelled_frame(labels=(), changes=(track_event(change=TrackChange.LEFT),), end_of_stream=True))
        assert len(desk.sink.events) == 1
        assert desk.counters.snapshot().frames == {}

    def test_the_way_from_capture_is_timed(self) -> None:
        desk = Desk()
        captured_ns = desk.clock.monotonic_ns()
        desk.clock.advance(0.02)
        desk.publish(labelled_frame(captured_ns=captured_ns))
        desk.publish(labelled_frame(captured_ns=captured_ns, end_of_stream=True))
        latency = desk.counters.snapshot().latencies["door"]
        assert (latency.count, round(latency.sum, 6)) == (1, 0.02)

    def test_states_pass_as_they_are(self) -> None:
        desk = Desk()
        state = camera_state(CameraStatus.RECONNECTING, reason="no answer")
        desk.publish(state)
        assert desk.sink.events == [state]

    def test_an_error_of_publishing_fails_the_frame_before_it_is_counted(self) -> None:
        desk = Desk(fails=lambda event: True)
        with pytest.raises(Scripted):
            desk.publish(labelled_frame())
        assert desk.counters.snapshot().frames == {}


class TestSummaries:
    """Sums per camera and interval, by the clock of the process."""

    def test_an_interval_s_counts_and_who_is_there_now(self) -> None:
        desk = Desk(interval_s=10)
        desk.publish(labelled_frame(0, labels=("happy", "sad")))
        desk.publish(labelled_frame(1, labels=("happy",), changes=(track_event(1, number=2, change=TrackChange.LEFT),)))
        desk.clock.advance(9.99)
        desk.publish.tick()
        assert desk.sink.summaries("door") == []
        desk.clock.advance(0.01)
        desk.publish.tick()
        (summary,) = desk.sink.summaries("door")
        assert summary.counts == {"happy": 2, "sad": 1}
        assert summary.faces_now == 1
        assert summary.interval_s == 10
        assert summary.at_ns == desk.clock.utc_ns()

    def test_the_end_of_a_track_is_no_second_look_at_its_face(self) -> None:
        desk = Desk(interval_s=10)
        frame = labelled_frame(0, labels=("happy",))
        desk.publish(frame)
        desk.publish(replace(frame, faces=(face_event(1, state=TrackState.LEFT),)))
        desk.clock.advance(10)
        desk.publish.tick()
        (summary,) = desk.sink.summaries("door")
        assert summary.counts == {"happy": 1}

    def test_the_next_interval_begins_empty_but_knows_who_is_there(self) -> None:
        desk = Desk(interval_s=10)
        desk.publish(labelled_frame(0, labels=("happy",)))
        for _ in range(2):
            desk.clock.advance(10)
            desk.publish.tick()
        first, second = desk.sink.summaries("door")
        assert (first.counts, first.faces_now) == ({"happy": 1}, 1)
        assert (second.counts, second.faces_now) == ({}, 1)

    def test_a_late_tick_tells_the_true_length(self) -> None:
        desk = Desk(interval_s=10)
        desk.publish(labelled_frame())
        desk.clock.advance(12.5)
        desk.publish(camera_state())
        assert [summary.interval_s for summary in desk.sink.summaries("door")] == [12.5]

    def test_each_camera_has_its_own(self) -> None:
        desk = Desk(interval_s=10)
        desk.publish(labelled_frame(camera="door", labels=("happy",)))
        desk.clock.advance(5)
        desk.publish(labelled_frame(camera="yard", labels=("sad",)))
        desk.clock.advance(5)
        desk.publish.tick()
        assert len(desk.sink.summaries("door")) == 1
        assert desk.sink.summaries("yard") == []

    def test_the_last_one_comes_with_the_final_end_only(self) -> None:
        desk = Desk(interval_s=10)
        desk.publish(labelled_frame(labels=("happy",)))
        desk.clock.advance(3)
        desk.publish(EndOfStream("door", final=False))
        assert desk.sink.summaries("door") == []
        desk.publish(EndOfStream("door", final=True))
        assert [(summary.counts, summary.interval_s) for summary in desk.sink.summaries("door")] == [({"happy": 1}, 3.0)]
        desk.clock.advance(100)
        desk.publish.tick()
        assert len(desk.sink.summaries("door")) == 1

    def test_no_interval_no_summaries(self) -> None:
        desk = Desk(interval_s=0)
        desk.publish(labelled_frame())
        desk.clock.advance(1000)
        desk.publish.tick()
        desk.publish(EndOfStream("door", final=True))
        assert desk.sink.summaries("door") == []

    def test_a_refused_summary_does_not_fail_a_frame_that_was_counted(self) -> None:
        desk = Desk(fails=lambda event: type(event).__name__ == "Summary", interval_s=10)
        desk.publish(labelled_frame(0))
        desk.clock.advance(10)
        with pytest.raises(Scripted):
            desk.publish(labelled_frame(1))
        assert desk.counters.snapshot().frames == {("door", "publishing"): 1}
        desk.publish(labelled_frame(2))  # one summary is lost, not every frame after it
        assert desk.counters.snapshot().frames == {("door", "publishing"): 2}


class TestAggregateOnly:
    """Without single faces: sums of groups, and nothing that speaks of one person."""

    def kinds(self, events: list[Event]) -> set[str]:
        return {type(event).__name__ for event in events}

    def test_no_face_event_and_no_track_event_is_published(self) -> None:
        desk = Desk(privacy=PrivacyRules(aggregate_only=True))
        desk.publish(labelled_frame(labels=("happy",) * 3, changes=(track_event(),)))
        desk.publish(camera_state())
        desk.clock.advance(10)
        desk.publish.tick()
        assert self.kinds(desk.sink.events) == {"CameraState", "Summary"}
        assert desk.counters.snapshot().events == {}

    @pytest.mark.parametrize(("people", "counts", "now", "dominant"), [(2, {}, 0, None), (3, {"happy": 3}, 3, "happy")])
    def test_a_group_too_small_is_reported_as_nobody(self, people: int, counts: dict[str, int], now: int, dominant: str | None) -> None:
        desk = Desk(privacy=PrivacyRules(aggregate_only=True, min_group_size=3))
        desk.publish(labelled_frame(labels=("happy",) * people))
        desk.clock.advance(10)
        desk.publish.tick()
        (summary,) = desk.sink.summaries("door")
        assert (summary.counts, summary.faces_now, summary.dominant) == (counts, now, dominant)

    def test_a_person_alone_after_a_crowd_is_in_no_published_number(self) -> None:
        desk = Desk(interval_s=5, privacy=PrivacyRules(aggregate_only=True, min_group_size=3))
        desk.publish(labelled_frame(0, labels=("happy",) * 4))
        desk.clock.advance(5)  # the crowd is gone now, but its tracks live on for the tracker's lifespan
        desk.publish(labelled_frame(1, labels=("sad",)))
        gone = tuple(face_event(2, number=number, state=TrackState.LEFT) for number in (2, 3, 4))
        changes = tuple(track_event(2, number=number, change=TrackChange.LEFT) for number in (2, 3, 4))
        frame = labelled_frame(2, labels=("sad",), changes=changes)
        desk.publish(replace(frame, faces=(*frame.faces, *gone)))
        desk.clock.advance(5)
        desk.publish.tick()
        first, second = desk.sink.summaries("door")
        assert (first.counts, first.faces_now) == ({"happy": 4}, 4)
        assert (second.counts, second.faces_now) == ({}, 0)

    def test_who_has_left_does_not_hide_the_last_one_in_the_next_interval(self) -> None:
        desk = Desk(privacy=PrivacyRules(aggregate_only=True, min_group_size=3))
        gone = tuple(track_event(number=number, change=TrackChange.LEFT) for number in (2, 3))
        desk.publish(labelled_frame(0, labels=("happy",) * 3, changes=gone))
        desk.clock.advance(10)
        desk.publish(labelled_frame(1, labels=("sad",)))
        desk.clock.advance(10)
        desk.publish.tick()
        first, second = desk.sink.summaries("door")
        assert (first.counts, first.faces_now) == ({"happy": 3}, 0)  # one is there, too few for a number
        assert (second.counts, second.faces_now) == ({}, 0)


def test_stop_while_blocked_before_an_empty_input() -> None:
    channel: Channel[Item] = Channel(capacity=1)
    run: StageRun[Item, None] = StageRun()
    stage = Stage(name="publishing", handlers=[Desk().publish], hooks=run.hooks(channel.get), observer=run.counters)
    stage.start()
    wait_until(lambda: channel.waiting_readers > 0)
    channel.close()
    assert stage.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in stage.threads)


def test_a_sink_that_waits_holds_the_stage_only_until_it_answers() -> None:
    gate = Gate()
    desk = Desk(gate=gate)
    channel: Channel[Item] = Channel(capacity=4)
    run: StageRun[Item, None] = StageRun()
    stage = Stage(name="publishing", handlers=[desk.publish], hooks=run.hooks(channel.get), observer=run.counters)
    stage.start()
    for index in range(3):
        channel.put(labelled_frame(index))
    assert gate.reached.wait(PATIENCE_S)
    channel.close()
    assert not stage.join(0)
    gate.open()
    assert stage.join(PATIENCE_S)
    assert desk.counters.snapshot().frames == {("door", "publishing"): 3}
