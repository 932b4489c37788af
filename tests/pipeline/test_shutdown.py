"""However a pipeline is stopped: it ends in time, its threads are dead, and every frame is accounted for."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from ferstream.domain.event import Event, FaceEvent
from ferstream.pipeline import pipeline as pipeline_module
from tests.support.classifiers import ScriptedClassifier
from tests.support.rig import Rig
from tests.support.runners import PATIENCE_S, Gate, ScriptedLooker, ScriptedSink, ScriptedTracker
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

ENDLESS = 10**9


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last wait for what hangs is short."""
    monkeypatch.setattr(pipeline_module, "LAST_WAIT_S", 0.1)


def hanging(stage: str, gate: Gate, *, workers: int = 1) -> Rig:
    """A pipeline whose ``stage`` waits at the gate."""
    if stage == "detection":
        return Rig(finders=[ScriptedLooker(gate=gate) for _ in range(workers)])
    if stage == "tracking":
        return Rig(new_tracker=lambda camera: ScriptedTracker(camera, gate=gate))
    if stage == "inference":
        return Rig(classifier=ScriptedClassifier(delay=gate))

    def wait_at_faces(event: Event) -> bool:
        if isinstance(event, FaceEvent):
            gate()
        return False

    return Rig(sink=ScriptedSink(fails=wait_at_faces))


class TestDrain:
    """A stop in the middle lets what was captured through."""

    @pytest.mark.parametrize("workers", [1, 3])
    def test_a_stop_in_the_middle_of_recordings_loses_nothing(self, workers: int) -> None:
        rig = Rig(finders=[ScriptedLooker() for _ in range(workers)])
        rig.pipeline.start()
        for camera in ("door", "yard"):
            rig.add(camera, ENDLESS)
        wait_until(lambda: min(map(rig.published, ("door", "yard"))) > 20)
        assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
        rig.check_ended()
        assert rig.dropped() == {}
        for camera in ("door", "yard"):
            assert rig.sink.indices(camera) == list(range(rig.published(camera)))

    def test_a_stop_before_anything_came(self) -> None:
        rig = Rig()
        rig.pipeline.start()
        rig.add("door", 0, linger=True)
        assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
        rig.check_ended()

    def test_a_stop_without_cameras_and_a_second_stop(self) -> None:
        rig = Rig()
        rig.pipeline.start()
        assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
        assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
        rig.check_ended()

    @pytest.mark.parametrize("stage", ["detection", "tracking", "inference", "publishing"])
    def test_a_stop_while_everything_is_blocked_behind_a_slow_stage(self, stage: str) -> None:
        gate = Gate()
        rig = hanging(stage, gate)
        rig.pipeline.start()
        rig.add("film", ENDLESS)
        lanes = rig.pipeline.queues()["detection"][1]
        wait_until(lambda: rig.pipeline.queues()["detection"][0] == lanes)
        stopping = Task(lambda: rig.pipeline.stop(timeout_s=PATIENCE_S))
        assert stopping.alive
        gate.open()
        assert stopping.result() == []
        rig.check_ended()
        assert rig.dropped() == {}


@pytest.mark.usefixtures("impatient")
class TestHangingStage:
    """A stage that does not come back: the deadline holds, the rest is counted, and the stuck are named."""

    @pytest.mark.parametrize("stage", ["detection", "tracking", "inference", "publishing"])
    def test_the_deadline_holds_and_the_stuck_stage_is_named(self, stage: str) -> None:
        gate = Gate()
        rig = hanging(stage, gate)
        rig.pipeline.start()
        rig.add("film", ENDLESS)
        rig.add("door", ENDLESS, live=True)
        assert gate.reached.wait(PATIENCE_S)
        wait_until(lambda: rig.pipeline.queues()["detection"][0] >= rig.pipeline.queues()["detection"][1])
        stopping = Task(lambda: rig.pipeline.stop(timeout_s=0.2))
        assert stopping.result() == [stage]
        assert {thread.name for thread in rig.pipeline.threads if thread.is_alive()} == {stage}
        snapshot = rig.counters.snapshot()
        in_hand = sum(snapshot.in_flight(camera) for camera in ("film", "door"))
        assert 0 < in_hand <= (1 if stage != "inference" else 8 + 1)  # one frame, or one batch
        assert {reason for _, _, reason in rig.dropped()} <= {"shutdown", "overflow"}
        gate.open()
        assert rig.pipeline.join(PATIENCE_S)
        rig.check_ended()

    def test_results_that_wait_for_a_stuck_worker_are_counted(self) -> None:
        gate, free = Gate(), ScriptedLooker()
        rig = Rig(finders=[ScriptedLooker(gate=gate), free], spare_places=None)
        rig.pipeline.start()
        rig.add("film", 12)
        assert gate.reached.wait(PATIENCE_S)
        wait_until(lambda: len(free.seen) == 11)
        assert rig.pipeline.stop(timeout_s=0.2) == ["detection"]
        assert rig.counters.snapshot().in_flight("film") == 1
        gate.open()
        assert rig.pipeline.join(PATIENCE_S)
        rig.check_ended()
        first_waits = rig.published("film") == 0  # unless the free worker was the first to take
        assert first_waits == (rig.dropped() == {("film", "detection", "shutdown"): 12})

    def test_a_camera_that_does_not_end_is_named(self) -> None:
        gate = Gate()
        rig = Rig()
        rig.pipeline.start()
        rig.add("door", 10, before_each=lambda place, callbacks: gate() if place == 3 else None)
        assert gate.reached.wait(PATIENCE_S)
        assert rig.pipeline.stop(timeout_s=0.1) == ["capture-door"]
        gate.open()
        assert rig.cameras["door"].join(PATIENCE_S)
        rig.check_ended()
        assert rig.published("door") == 3
        assert rig.dropped() == {("door", "capture", "shutdown"): 1}  # what it brought too late

    def test_a_camera_that_only_waits_for_room_is_not_named(self) -> None:
        gate = Gate()
        rig = hanging("detection", gate)
        rig.pipeline.start()
        rig.add("film", ENDLESS)
        wait_until(lambda: rig.pipeline.queues()["detection"][0] >= rig.pipeline.queues()["detection"][1])
        stuck = rig.pipeline.stop(timeout_s=0.2)  # on a busy machine another stage may not have ended yet either
        assert "detection" in stuck
        assert not any(name.startswith("capture") for name in stuck)
        assert not rig.cameras["film"].thread.is_alive()
        gate.open()
        assert rig.pipeline.join(PATIENCE_S)
        rig.check_ended()

    def test_an_abandon_needs_no_stop(self) -> None:
        gate = Gate()
        rig = hanging("tracking", gate)
        rig.pipeline.start()
        rig.add("film", ENDLESS)
        assert gate.reached.wait(PATIENCE_S)
        Task(rig.pipeline.abandon).result()
        gate.open()
        assert rig.pipeline.join(PATIENCE_S)
        rig.check_ended()


def random_rig(rng: random.Random) -> Rig:
    """Any number of workers and faces, and faults anywhere."""

    def some() -> set[int]:
        return set(rng.sample(range(120), rng.choice([0, 0, 3, 20])))

    looks_fail, tracks_fail, sink_fails = some(), some(), some()
    workers = rng.randint(1, 3)
    return Rig(
        finders=[ScriptedLooker(faces=rng.randint(0, 3), without_crop=rng.randint(0, 1), fails_at=looks_fail) for _ in range(workers)],
        new_tracker=lambda camera: ScriptedTracker(camera, fails_at=tracks_fail),
        labels_fail_at=some(),
        classifier=ScriptedClassifier(failures=tuple(RuntimeError("lost") if rng.random() < 0.1 else None for _ in range(60))),
        sink=ScriptedSink(fails=lambda event: getattr(event, "info", None) is not None and event.info.index in sink_fails),  # type: ignore[union-attr]
        max_batch=rng.randint(1, 12),
        max_wait_s=rng.choice([0.0, 0.0, 0.002]),
    )


def drain(rig: Rig) -> None:
    """Stop with time enough."""
    assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []


def abandon(rig: Rig) -> None:
    """Give up, and then stop."""
    rig.pipeline.abandon()
    assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []


def no_time(rig: Rig) -> None:
    """Stop without any time."""
    rig.pipeline.stop(timeout_s=0.0)


@pytest.mark.usefixtures("impatient")
class TestAnyMoment:
    """Random pipelines, ended at random moments in one of three ways."""

    WAYS: tuple[Callable[[Rig], object], ...] = (drain, abandon, no_time)

    @pytest.mark.parametrize("block", range(8))
    def test_every_frame_and_face_is_accounted_for(self, block: int) -> None:
        for seed in range(block * 25, block * 25 + 25):
            rng = random.Random(seed)
            rig = random_rig(rng)
            rig.pipeline.start()
            for number in range(rng.randint(1, 3)):
                rig.add(f"camera{number}", rng.randint(0, 120), live=rng.random() < 0.5, linger=rng.random() < 0.5)
            moment = rng.randint(0, 100)
            wait_until(lambda rig=rig, moment=moment: self.captured(rig) >= moment or self.all_delivered(rig))  # type: ignore[misc]
            if rng.random() < 0.3:
                self.come_and_go(rig, rng)
            rng.choice(self.WAYS)(rig)
            assert rig.pipeline.join(PATIENCE_S), seed
            rig.check_ended()

    def come_and_go(self, rig: Rig, rng: random.Random) -> None:
        """One camera is taken away, perhaps in too great a hurry, and perhaps comes back."""
        rig.left_behind.append(rig.cameras["camera0"])
        rig.pipeline.cameras.remove("camera0", timeout_s=rng.choice([0.0, PATIENCE_S]))
        if rng.random() < 0.7:
            rig.add("camera0", rig.frames("camera0", rng.randint(0, 60), live=rng.random() < 0.5), live=rng.random() < 0.5)

    def captured(self, rig: Rig) -> int:
        return sum(count for (_, stage), count in rig.counters.snapshot().frames.items() if stage == "capture")

    def all_delivered(self, rig: Rig) -> bool:
        return all(camera.delivered.is_set() for camera in rig.cameras.values())
