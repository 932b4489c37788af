"""The real camera runner in the real pipeline, over scripted sources: connections break, end and hang."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import pytest

from ferstream.capture.limits import Timings
from ferstream.capture.source import Source
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.domain.event import CameraStatus, TrackChange
from ferstream.domain.frame import Frame
from ferstream.errors import SourceFormatError, SourceTimeoutError
from ferstream.pipeline.components import CameraCallbacks
from ferstream.runtime.backoff import Backoff
from tests.support.rig import Rig
from tests.support.runners import PATIENCE_S, Gate, ScriptedLooker
from tests.support.sources import Hang, ScriptedSource, Step
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


def add(rig: Rig, name: str, sources: Sequence[Source], *, live: bool, grace_s: float = PATIENCE_S) -> CameraRunner:
    """A camera that connects to one source after the other; when they are used up, to one that waits."""
    coming: Iterator[Source] = iter(sources)
    made: list[CameraRunner] = []

    def make(callbacks: CameraCallbacks) -> CameraRunner:
        runner = CameraRunner(
            camera=name,
            connect=lambda: next(coming, None) or ScriptedSource(linger=True),
            live=live,
            callbacks=RunnerCallbacks(emit=callbacks.emit, on_state=callbacks.on_state, on_end=callbacks.on_end),
            observer=rig.counters,
            backoff=Backoff(floor_s=0.001, cap_s=0.002, rng=random.Random(1)),
            timings=Timings(grace_s=grace_s),
        )
        made.append(runner)
        return runner

    rig.names.add(name)
    rig.pipeline.cameras.add(name, live=live, make_runner=make)
    return made[0]


def unhurried(rig: Rig, frames: Iterator[Frame]) -> list[Step]:
    """Each frame waits until the one before has been published, so that a live lane drops none."""
    steps: list[Step] = []
    for frame in frames:
        steps += [frame, settled(rig, frame.info.camera)]
    return steps


def settled(rig: Rig, camera: str) -> Callable[[], None]:
    """Waits until nothing of a camera is on its way."""
    return lambda: wait_until(lambda: rig.counters.snapshot().in_flight(camera) == 0)


def test_a_recording_is_analysed_to_its_last_frame() -> None:
    rig = Rig(finders=[ScriptedLooker(), ScriptedLooker()])
    rig.pipeline.start()
    runner = add(rig, "film", [ScriptedSource(list(rig.frames("film", 120)))], live=False)
    rig.finish()
    assert rig.sink.indices("film") == list(range(120))
    assert rig.dropped() == {}
    assert runner.failure is None
    assert [turn.info.index for turn in rig.sink.turns("film", TrackChange.LEFT)] == [119]
    assert rig.sink.states("film")[-1].status is CameraStatus.OFFLINE


def test_a_damaged_recording_is_analysed_up_to_the_damage() -> None:
    rig = Rig()
    rig.pipeline.start()
    damaged = ScriptedSource([*rig.frames("film", 30), SourceFormatError("film.mp4: no more frames can be decoded")])
    runner = add(rig, "film", [damaged], live=False)
    add(rig, "other", [ScriptedSource(list(rig.frames("other", 50)))], live=False)
    rig.finish()
    assert rig.sink.indices("film") == list(range(30))
    assert rig.sink.indices("other") == list(range(50))
    assert isinstance(runner.failure, SourceFormatError)
    assert rig.pipeline.cameras.states()["film"].reason == "film.mp4: no more frames can be decoded"


def test_each_connection_of_a_live_camera_has_its_own_tracks() -> None:
    rig = Rig()
    rig.pipeline.start()
    lost = SourceTimeoutError("no answer")
    sources = [ScriptedSource([*unhurried(rig, iter(rig.frames("door", 5, live=True))), lost]) for _ in range(4)]
    runner = add(rig, "door", sources, live=True)
    wait_until(lambda: rig.published("door") == 20)
    wait_until(lambda: len(rig.sink.turns("door", TrackChange.LEFT)) == 4)
    wait_until(lambda: sum(rig.counters.snapshot().reconnects.values()) == 4)
    runner.stop()
    rig.finish()
    indices = rig.sink.indices("door")
    assert indices == sorted(set(indices))  # numbers go on over a reconnect
    assert [turn.info.index for turn in rig.sink.turns("door", TrackChange.LEFT)] == indices[4::5]
    assert rig.dropped() == {}


def test_a_stop_ends_a_recording_that_waits_for_room() -> None:
    gate = Gate()
    rig = Rig(finders=[ScriptedLooker(gate=gate)])
    rig.pipeline.start()
    runner = add(rig, "film", [ScriptedSource(list(rig.frames("film", 500)))], live=False)
    wait_until(lambda: rig.pipeline.queues()["detection"][0] == rig.pipeline.queues()["detection"][1])
    stopping = Task(lambda: rig.pipeline.stop(timeout_s=PATIENCE_S))
    assert stopping.alive
    gate.open()
    assert stopping.result() == []
    assert runner.join(0)
    rig.check_ended()
    assert rig.sink.indices("film") == list(range(rig.published("film")))
    assert rig.published("film") < 500


def test_a_hanging_read_is_left_behind_and_harms_nothing_else() -> None:
    hang, rig = Hang(), Rig()
    rig.pipeline.start()
    door = add(rig, "door", [ScriptedSource([*rig.frames("door", 1, live=True), hang])], live=True, grace_s=0.01)
    add(rig, "film", [ScriptedSource(list(rig.frames("film", 40)))], live=False)
    assert hang.reached.wait(PATIENCE_S)
    wait_until(lambda: rig.published("film") == 40 and rig.published("door") == 1)
    assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
    assert door.abandoned == 1
    assert rig.counters.snapshot().counts["capture_abandoned", "door"] == 1
    rig.check_ended()
    hang.release()
    assert rig.dropped() == {}
