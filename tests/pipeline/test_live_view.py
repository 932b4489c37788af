"""Pictures for the live view: whatever becomes of a frame, its picture goes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ferstream.domain.event import FaceEvent
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame
from ferstream.errors import ModelError
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.web.feed import LiveFeed
from tests.support.classifiers import ScriptedClassifier
from tests.support.privacy_scenes import Spectators
from tests.support.rig import Rig
from tests.support.runners import PATIENCE_S, Gate, ScriptedLooker, ScriptedSink, ScriptedTracker
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


@pytest.fixture
def feed() -> Iterator[LiveFeed]:
    """A feed with pictures that somebody looks at."""
    feed = LiveFeed(
        Spectators(observer=Counters()), pixels=True, aggregate_only=False, observer=Counters(), clock=SystemClock(), max_fps=1e9
    )
    feed.start()
    yield feed
    feed.close()


def keeping(feed: LiveFeed, look: Callable[[Frame], DetectedFrame]) -> Callable[[Frame], DetectedFrame]:
    """Keep the picture of each frame that was analysed, as ``FaceFinder`` does."""

    def find(frame: Frame) -> DetectedFrame:
        detected = look(frame)
        feed.keep_picture(frame)
        return detected

    return find


def test_published_frames_leave_no_picture(feed: LiveFeed) -> None:
    rig = Rig(finders=[keeping(feed, ScriptedLooker()) for _ in range(2)], view=feed)
    rig.pipeline.start()
    for camera in ("door", "yard"):
        rig.add(camera, 50)
    rig.finish()
    assert rig.published("door") == rig.published("yard") == 50
    assert feed.pictures == 0


def test_frames_that_a_stage_lost_leave_no_picture(feed: LiveFeed) -> None:
    rig = Rig(
        finders=[keeping(feed, ScriptedLooker(fails_at=range(0, 60, 7)))],
        new_tracker=lambda camera: ScriptedTracker(camera, fails_at=range(1, 60, 7)),
        labels_fail_at=range(2, 60, 7),
        sink=ScriptedSink(fails=lambda event: isinstance(event, FaceEvent) and event.info.index % 7 == 3),
        view=feed,
    )
    rig.pipeline.start()
    rig.add("door", 60)
    rig.finish()
    assert {stage for _, stage, _ in rig.dropped()} == {"detection", "tracking", "inference", "publishing"}
    assert feed.pictures == 0


def test_frames_of_a_classifier_that_fails_leave_no_picture(feed: LiveFeed) -> None:
    rig = Rig(
        finders=[keeping(feed, ScriptedLooker())],
        classifier=ScriptedClassifier(failures=(ModelError("no"), None, ModelError("no"), ModelError("no"))),
        view=feed,
    )
    rig.pipeline.start()
    rig.add("door", 20)
    rig.finish()
    assert feed.pictures == 0


def test_a_shutdown_in_the_middle_leaves_no_picture(feed: LiveFeed) -> None:
    gate = Gate()
    rig = Rig(finders=[keeping(feed, ScriptedLooker()) for _ in range(2)], sink=ScriptedSink(gate=gate), spare_places=None, view=feed)
    rig.pipeline.start()
    rig.add("door", 100)
    wait_until(lambda: feed.pictures > 4)
    rig.pipeline.abandon()
    gate.open()
    assert not rig.pipeline.stop(timeout_s=PATIENCE_S)
    rig.check_ended()
    assert feed.pictures == 0
