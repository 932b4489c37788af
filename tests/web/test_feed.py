"""The live feed between a pipeline and the viewers: what is taken, what waits, and what is dropped."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ferstream.domain.event import CameraStatus, LabelledFrame, Summary, TrackChange
from ferstream.domain.face import Box
from ferstream.domain.frame import Frame
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.web.feed import ERRORS, MAX_CHANGES, LiveFeed, rest_s
from ferstream.web.hub import Hub
from ferstream.web.messages import FRAME, LiveMessage
from tests.support.builders import UTC_NS, camera_state, face_event, frame_info, labelled_frame, track_event
from tests.support.builders import frame as small_frame
from tests.support.clock import FakeClock
from tests.support.live import LiveServer, Viewer, picture_of
from tests.support.runners import Gate
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes servers and viewers, the last one first."""
    with ExitStack() as stack:
        yield stack


def started(stack: ExitStack, *cameras: str, **options: Any) -> tuple[LiveServer, Viewer]:
    """Start a server with one viewer that has got its first message."""
    server = stack.enter_context(LiveServer(**options))
    viewer = stack.enter_context(server.viewer(*cameras))
    viewer.wait("hello")
    return server, viewer


class RecordingHub(Hub):
    """Somebody looks at every camera; keeps the messages."""

    def __init__(self) -> None:
        super().__init__(observer=Counters())
        self.sent: list[LiveMessage] = []
        self.gate: Callable[[], None] = lambda: None

    @property
    def viewers(self) -> int:
        return 1

    def wants(self, camera: str) -> bool:
        return True

    def send(self, message: LiveMessage) -> None:
        self.gate()
        self.sent.append(message)

    def frames(self) -> list[int]:
        """Numbers of the frames that were sent."""
        return [body(message)["index"] for message in self.sent if message.kind == FRAME]


def body(message: LiveMessage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.data.split(b"\ndata: ")[1])
    return found


@pytest.fixture
def hub() -> RecordingHub:
    return RecordingHub()


def feed_of(stack: ExitStack, hub: Hub, **options: Any) -> LiveFeed:
    """Start a feed without a server."""
    values: dict[str, Any] = {"pixels": False, "aggregate_only": False, "observer": Counters(), "clock": SystemClock(), "max_fps": 1e6}
    feed = LiveFeed(hub, **(values | options))
    feed.start()
    stack.callback(feed.close)
    return feed


def grey_frame(index: int, grey: int) -> Frame:
    """A frame whose detection image has one grey level."""
    original = small_frame(index)
    return Frame(original.info, original.luma, np.full((64, 96, 3), grey, np.uint8))


def publish(feed: LiveFeed, frame: LabelledFrame) -> None:
    """Do what the stages do at the end of a frame."""
    feed.saw(frame.info)
    feed.show(frame)
    feed.drop_pictures([frame.info.key])


def test_a_frame_reaches_who_looks_at_its_camera(stack: ExitStack) -> None:
    server, door = started(stack, "door")
    yard = stack.enter_context(server.viewer("yard"))
    yard.wait("hello")
    publish(server.feed, labelled_frame(5, labels=("happy", "sad")))
    assert [face["emotion"]["label"] for face in door.wait("frame")["faces"]] == ["happy", "sad"]
    publish(server.feed, labelled_frame(6, camera="yard"))
    assert yard.wait("frame")["index"] == 6


def test_summaries_and_states_reach_the_viewers(stack: ExitStack) -> None:
    server, viewer = started(stack)
    server.feed.show(camera_state(CameraStatus.STALLED, reason="no frame for 10 s"))
    assert viewer.wait("camera")["reason"] == "no frame for 10 s"
    server.feed.show(Summary("door", UTC_NS, 5.0, {"happy": 3}, 2))
    assert viewer.wait("summary")["counts"]["happy"] == 3


def test_at_most_so_many_frames_a_second_are_sent(stack: ExitStack, hub: RecordingHub) -> None:
    clock = FakeClock()
    feed = feed_of(stack, hub, clock=clock, max_fps=10)
    expected = [0, 3, 5, 8, 10, 13, 15, 18]  # 25 frames a second, one in each tenth of a second
    for index in range(20):
        publish(feed, labelled_frame(index))
        wait_until(lambda n=index: len(hub.sent) == sum(due <= n for due in expected))  # type: ignore[misc]
        clock.advance(0.04)
    assert hub.frames() == expected


def test_changes_of_frames_that_were_not_sent_come_with_the_next_one(stack: ExitStack, hub: RecordingHub) -> None:
    clock = FakeClock()
    feed = feed_of(stack, hub, clock=clock, max_fps=10)
    publish(feed, labelled_frame(0))
    wait_until(lambda: len(hub.sent) == 1)
    for index in range(1, 4):
        publish(feed, labelled_frame(index, changes=(track_event(index, number=index),)))
    assert hub.frames() == [0]
    clock.advance(0.1)
    publish(feed, labelled_frame(4))
    wait_until(lambda: len(hub.sent) == 2)
    assert [change["track"]["id"] for change in body(hub.sent[1])["changes"]] == ["door-run-1", "door-run-2", "door-run-3"]


def test_while_one_frame_is_encoded_only_the_newest_waits_and_changes_are_bounded(stack: ExitStack, hub: RecordingHub) -> None:
    gate = hub.gate = Gate()
    feed = feed_of(stack, hub)
    stack.callback(gate.open)
    publish(feed, labelled_frame(0))
    assert gate.reached.wait(20)
    for index in range(1, 1000):
        publish(feed, labelled_frame(index, changes=(track_event(index, number=index),)))
    gate.open()
    wait_until(lambda: len(hub.sent) == 2)
    assert hub.frames() == [0, 999]
    changes = [change["track"]["id"] for change in body(hub.sent[1])["changes"]]
    assert changes == [f"door-run-{number}" for number in range(1000 - MAX_CHANGES, 1000)]


def test_the_end_of_a_stream_is_sent_at_once_and_empties_the_picture(stack: ExitStack, hub: RecordingHub) -> None:
    feed = feed_of(stack, hub, max_fps=0.001)
    publish(feed, labelled_frame(5))
    wait_until(lambda: len(hub.sent) == 1)
    left = track_event(5, change=TrackChange.LEFT)
    publish(feed, labelled_frame(5, labels=(), changes=(left,), end_of_stream=True))
    wait_until(lambda: len(hub.sent) == 2)
    last = body(hub.sent[1])
    assert (last["index"], last["faces"], last["changes"][0]["change"]) == (5, [], "left")
    assert feed.view("door").faces_now == 0


def test_a_frame_that_was_dropped_on_the_way_does_not_empty_the_picture(stack: ExitStack, hub: RecordingHub) -> None:
    feed = feed_of(stack, hub)
    publish(feed, labelled_frame(5, labels=("happy", "sad")))
    wait_until(lambda: len(hub.sent) == 1)
    publish(feed, labelled_frame(6, labels=(), changes=(track_event(6, change=TrackChange.LEFT),), end_of_stream=True))
    publish(feed, labelled_frame(7))
    wait_until(lambda: len(hub.sent) == 2)
    assert hub.frames() == [5, 7]
    assert [change["change"] for change in body(hub.sent[1])["changes"]] == ["left"]


def test_nothing_is_kept_while_nobody_looks(stack: ExitStack) -> None:
    server = stack.enter_context(LiveServer(pixels=True))
    server.feed.keep_picture(grey_frame(0, 9))
    assert server.feed.pictures == 0
    publish(server.feed, labelled_frame(0, changes=(track_event(0),)))
    viewer = stack.enter_context(server.viewer("yard"))
    viewer.wait("hello")
    server.feed.keep_picture(grey_frame(1, 9))
    publish(server.feed, labelled_frame(1, changes=(track_event(1),)))
    assert server.feed.pictures == 0
    publish(server.feed, labelled_frame(2, camera="yard"))
    assert viewer.wait("frame")["camera"] == "yard"
    door = stack.enter_context(server.viewer("door"))
    door.wait("hello")
    publish(server.feed, labelled_frame(3))
    assert door.wait("frame")["changes"] == []


def test_a_picture_is_sent_with_the_faces_of_its_frame(stack: ExitStack) -> None:
    server, viewer = started(stack, pixels=True)
    for index, grey in ((1, 40), (2, 200)):
        server.feed.keep_picture(grey_frame(index, grey))
        publish(server.feed, labelled_frame(index))
        message = viewer.wait("frame", lambda data, n=index: data["index"] == n)  # type: ignore[misc]
        assert abs(float(picture_of(message).mean()) - grey) < 2
    assert server.feed.pictures == 0


def test_pictures_of_frames_that_are_lost_are_dropped(stack: ExitStack) -> None:
    server, _ = started(stack, pixels=True)
    for index in range(3):
        server.feed.keep_picture(grey_frame(index, 9))
    server.feed.drop_pictures([("door", 0), ("door", 2)])
    assert server.feed.pictures == 1
    server.feed.close()
    assert server.feed.pictures == 0


@pytest.mark.parametrize("options", [{"pixels": False}, {"pixels": True, "aggregate_only": True}])
def test_without_pixels_no_picture_is_kept(stack: ExitStack, options: dict[str, bool]) -> None:
    server, viewer = started(stack, **options)
    server.feed.keep_picture(grey_frame(1, 9))
    assert server.feed.pictures == 0
    if not options.get("aggregate_only"):
        publish(server.feed, labelled_frame(1))
        assert "picture" not in viewer.wait("frame")


def test_with_aggregate_only_a_frame_is_never_sent(stack: ExitStack, hub: RecordingHub) -> None:
    feed = feed_of(stack, hub, aggregate_only=True)
    publish(feed, labelled_frame(1))
    feed.show(Summary("door", UTC_NS, 5.0, {"happy": 6}, 5))
    wait_until(lambda: len(hub.sent) == 1)
    assert hub.frames() == []
    assert feed.view("door").faces_now == 5


def test_a_message_that_cannot_be_encoded_is_counted_and_the_next_one_comes(stack: ExitStack, hub: RecordingHub) -> None:
    counters = Counters()
    feed = feed_of(stack, hub, observer=counters)
    event = face_event(1)
    broken = replace(event, face=replace(event.face, box=Box(float("nan"), 0, 1, 1)))
    publish(feed, replace(labelled_frame(1), faces=(broken,)))
    wait_until(lambda: counters.snapshot().counts.get((ERRORS, "ValueError")) == 1)
    publish(feed, labelled_frame(2))
    wait_until(lambda: hub.frames() == [2])


def test_what_is_known_of_a_camera_without_viewers(stack: ExitStack) -> None:
    server = stack.enter_context(LiveServer())
    assert server.feed.view("door").size is None
    publish(server.feed, labelled_frame(1, labels=("happy", "sad")))
    info = frame_info(1)
    view = server.feed.view("door")
    assert (view.size, view.faces_now) == ((info.width, info.height), 2)
    server.feed.forget(["door", "never-seen"])
    assert server.feed.view("door").size is None


def test_a_frame_costs_next_to_nothing_while_nobody_looks(stack: ExitStack) -> None:
    server = stack.enter_context(LiveServer(pixels=True))
    frame, picture = labelled_frame(1), grey_frame(1, 9)
    publish(server.feed, frame)
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    server.feed.keep_picture(picture)
    publish(server.feed, frame)
    sys.setprofile(None)
    assert calls < 40, "work, not time, is measured: the machine may be busy"


def test_encoding_takes_a_share_of_a_core_however_many_cameras_there_are() -> None:
    for work_s in (0.0001, 0.0026, 0.5):
        assert work_s / (work_s + rest_s(work_s, 0.25)) == pytest.approx(0.25)


def test_a_rest_does_not_hold_up_the_end(stack: ExitStack, hub: RecordingHub) -> None:
    feed = feed_of(stack, hub, max_share=0.0001)
    hub.gate = burn  # the rest would last minutes
    publish(feed, labelled_frame(1))
    wait_until(lambda: len(hub.sent) == 1)
    feed.close()
    assert "live-view" not in [thread.name for thread in threading.enumerate()]


def burn() -> None:
    """Use a twentieth of a second of CPU time."""
    began = time.thread_time()
    while time.thread_time() - began < 0.05:
        pass


def test_close_ends_the_thread_and_the_streams(stack: ExitStack) -> None:
    server, viewer = started(stack)
    server.feed.close()
    assert list(viewer.events()) == []
    assert "live-view" not in [thread.name for thread in threading.enumerate()]
    server.feed.close()
    publish(server.feed, labelled_frame(9))
