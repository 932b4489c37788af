"""Captured = analysed + dropped, and faces found = classified + skipped + dropped: under load and faults."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ferstream.domain.emotion import LABELS
from ferstream.domain.event import FaceEvent
from ferstream.domain.frame import Frame
from ferstream.errors import ModelError
from ferstream.pipeline.cameras import LIVE_LANE_FRAMES
from ferstream.pipeline.components import SPARE_PLACES
from tests.support.builders import frame
from tests.support.classifiers import ScriptedClassifier
from tests.support.rig import Rig
from tests.support.runners import PATIENCE_S, Gate, Scripted, ScriptedLooker, ScriptedSink, ScriptedTracker
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


class TestRecordings:
    """They wait, so nothing is lost and nothing overtakes."""

    @pytest.mark.parametrize("workers", [1, 2, 4])
    def test_every_frame_arrives_once_in_order_with_its_own_label(self, workers: int) -> None:
        rig = Rig(finders=[ScriptedLooker(faces=2, without_crop=1) for _ in range(workers)], max_batch=5)
        rig.pipeline.start()
        for camera in ("door", "yard"):
            rig.add(camera, 80)
        rig.finish()
        assert rig.dropped() == {}
        for camera in ("door", "yard"):
            assert rig.sink.indices(camera) == [index for index in range(80) for _ in range(3)]
            assert rig.published(camera) == 80
            judged = [event for event in rig.sink.faces(camera) if event.emotion.probabilities is not None]
            assert [event.emotion.verdict.label for event in judged] == [LABELS[event.info.index % 7] for event in judged]
            assert rig.counters.snapshot().faces[camera, "classified"] == 160

    def test_a_hanging_sink_makes_the_recording_wait(self) -> None:
        gate = Gate()
        rig = Rig(sink=ScriptedSink(gate=gate), spare_places=None)
        rig.pipeline.start()
        recording = rig.add("door", 200)
        wait_until(lambda: all(waits == fits for waits, fits in rig.pipeline.queues().values()) or self.is_full(rig))
        assert not recording.delivered.is_set()
        gate.open()
        rig.finish()
        assert rig.sink.indices("door") == list(range(200))
        assert rig.dropped() == {}

    def is_full(self, rig: Rig) -> bool:
        queues = rig.pipeline.queues()
        return all(queues[stage][0] == queues[stage][1] for stage in ("detection", "tracking", "inference"))


class LiveStream:
    """Frames of a camera that goes on until told, faster than anything can follow."""

    def __init__(self, rig: Rig, camera: str) -> None:
        self._rig, self._camera = rig, camera
        self.enough = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while not self.enough.is_set():
            yield frame(index, camera=self._camera, live=True, captured_ns=self._rig.clock.monotonic_ns())
            index += 1


class TestLive:
    """A live camera never waits: what cannot be analysed in time is dropped, counted, and the oldest goes first."""

    def test_a_classifier_that_hangs_for_a_while_drops_frames_before_detection(self) -> None:
        gate = Gate()
        rig = Rig(classifier=ScriptedClassifier(delay=gate))
        rig.pipeline.start()
        stream = LiveStream(rig, "door")
        camera = rig.add("door", stream, live=True, linger=True)
        assert gate.reached.wait(PATIENCE_S)  # one frame is with the classifier, and all others wait behind it
        wait_until(lambda: rig.counters.snapshot().frames.get(("door", "detection"), 0) == 1 + SPARE_PLACES)
        wait_until(lambda: rig.pipeline.queues()["detection"][0] == LIVE_LANE_FRAMES)
        overflow = rig.dropped().get(("door", "capture", "overflow"), 0)
        wait_until(lambda: rig.dropped().get(("door", "capture", "overflow"), 0) > overflow)  # it goes on, all the same
        stream.enough.set()
        assert camera.delivered.wait(PATIENCE_S)
        captured = rig.counters.snapshot().frames["door", "capture"]
        detected = rig.counters.snapshot().frames["door", "detection"]
        rig.clock.advance(0.6)
        gate.open()
        wait_until(lambda: rig.counters.snapshot().in_flight("door") == 0)
        dropped = rig.dropped()
        assert detected == 1 + SPARE_PLACES  # nothing else was detected while the classifier hung
        assert dropped["door", "detection", "stale"] == LIVE_LANE_FRAMES
        assert dropped.get(("door", "inference", "stale"), 0) <= SPARE_PLACES
        assert set(dropped) - {("door", "inference", "stale")} == {("door", "capture", "overflow"), ("door", "detection", "stale")}
        assert rig.published("door") == captured - sum(dropped.values())
        camera.stop()
        rig.finish()
        indices = rig.sink.indices("door")
        assert indices == sorted(set(indices))

    def test_an_idle_pipeline_takes_the_freshest(self) -> None:
        gate = Gate()
        rig = Rig(finders=[ScriptedLooker(gate=gate)])
        rig.pipeline.start()

        def hold_after_first(place: int, callbacks: object) -> None:
            if place == 1:
                assert gate.reached.wait(PATIENCE_S)

        camera = rig.add("door", 50, live=True, before_each=hold_after_first, linger=True)
        assert camera.delivered.wait(PATIENCE_S)
        gate.open()
        wait_until(lambda: rig.counters.snapshot().in_flight("door") == 0)
        camera.stop()
        rig.finish()
        assert rig.sink.indices("door") == [0, 49]
        assert rig.dropped() == {("door", "capture", "overflow"): 48}

    def test_a_live_camera_s_overload_does_not_touch_a_recording(self) -> None:
        rig = Rig(finders=[ScriptedLooker(), ScriptedLooker()])
        rig.pipeline.start()
        stream = LiveStream(rig, "door")
        rig.add("door", stream, live=True)
        rig.add("film", 150)
        wait_until(lambda: rig.published("film") == 150)
        stream.enough.set()
        rig.finish()
        assert rig.sink.indices("film") == list(range(150))
        assert {camera for camera, _, _ in rig.dropped()} <= {"door"}


class TestFaults:
    """One bad frame costs itself."""

    def test_in_every_stage(self) -> None:
        def sink_fails(event: object) -> bool:
            return isinstance(event, FaceEvent) and event.info.index == 9

        rig = Rig(
            finders=[ScriptedLooker(fails_at={3}), ScriptedLooker(fails_at={3})],
            new_tracker=lambda camera: ScriptedTracker(camera, fails_at={5}),
            labels_fail_at={7},
            sink=ScriptedSink(fails=sink_fails),
        )
        rig.pipeline.start()
        rig.add("door", 20)
        rig.finish()
        assert rig.dropped() == {("door", stage, "error"): 1 for stage in ("detection", "tracking", "inference", "publishing")}
        assert rig.sink.indices("door") == [index for index in range(20) if index not in (3, 5, 7, 9)]
        assert sorted(stage for stage, _ in rig.errors) == ["detection", "inference", "publishing", "tracking"]
        assert all(isinstance(error, Scripted) for _, error in rig.errors)
        assert not rig.pipeline.fatal.is_set()

    def test_a_classifier_that_fails_now_and_then(self) -> None:
        failures = tuple(ModelError("device lost") if call % 4 == 1 else None for call in range(40))
        rig = Rig(classifier=ScriptedClassifier(failures=failures), max_batch=1)
        rig.pipeline.start()
        rig.add("door", 40)
        rig.finish()
        lost = sum(failure is not None for failure in failures)
        assert rig.dropped() == {("door", "inference", "error"): lost}
        assert rig.counters.snapshot().faces == {("door", "found"): 40, ("door", "classified"): 40 - lost, ("door", "dropped"): lost}
        assert rig.sink.indices("door") == [index for index in range(40) if index % 4 != 1]

    def test_a_broken_classifier_is_fatal_and_everything_is_still_counted(self) -> None:
        rig = Rig(classifier=ScriptedClassifier(failures=(ModelError("device lost"),) * 1000), max_batch=1)
        rig.pipeline.start()
        rig.add("door", 60)
        wait_until(rig.pipeline.fatal.is_set)
        where, error = rig.pipeline.fatal.first or ("", None)
        assert where == "inference"
        assert isinstance(error, ModelError)
        assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
        rig.check_ended()
        assert rig.published("door") == 0

    def test_the_sums_are_never_negative_while_it_runs(self) -> None:
        rig, done = Rig(finders=[ScriptedLooker(fails_at=range(0, 300, 7)) for _ in range(2)], max_batch=4), threading.Event()

        def watch() -> set[bool]:
            seen = set()
            while not done.is_set():
                snapshot = rig.counters.snapshot()
                seen.add(all(snapshot.in_flight(camera) >= 0 for camera in ("door", "yard")))
            return seen

        watching = Task(watch)
        rig.pipeline.start()
        rig.add("door", 300)
        rig.add("yard", 300, live=True)
        try:
            rig.finish()
        finally:
            done.set()
        assert watching.result() == {True}
