"""Whole pipelines that are offered more than they can do: what is detected is published, and each camera gets its share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ferstream.domain.frame import Frame
from ferstream.errors import ModelError
from tests.support.builders import FRAME_NS, frame
from tests.support.classifiers import ScriptedClassifier
from tests.support.rig import Rig
from tests.support.runners import PATIENCE_S, ScriptedLooker
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

MS = 1_000_000


class Stream:
    """A live camera that delivers as fast as it may until it is told to stop; ``period`` frames of media time apart."""

    def __init__(self, rig: Rig, camera: str, *, period: float = 1.0) -> None:
        self._rig, self._camera, self._period = rig, camera, period
        self.enough = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while not self.enough.is_set():
            made = frame(index, camera=self._camera, live=True, captured_ns=self._rig.clock.monotonic_ns())
            object.__setattr__(made.info, "media_time_ns", int(index * FRAME_NS * self._period))
            yield made
            index += 1


def run(rig: Rig, streams: dict[str, Stream], until: Callable[[], bool]) -> None:
    """Run the cameras until a condition holds, then end them."""
    rig.pipeline.start()
    for camera, stream in streams.items():
        rig.add(camera, stream, live=True)
    wait_until(until)
    for stream in streams.values():
        stream.enough.set()
    rig.finish()


def slow(rig_clock: Callable[[], Rig], seconds: float) -> Callable[[], None]:
    """A stage that takes so long, by the clock of the test."""
    return lambda: rig_clock().clock.advance(seconds)


class TestGoodput:
    """Work is spent on frames that are published."""

    @pytest.mark.slow  # several threads move the one clock, so a busy machine makes frames old: run by `make faults`
    @pytest.mark.parametrize("workers", [1, 2, 4])
    @pytest.mark.parametrize("classify_s", [0.02, 0.1, 0.2])
    def test_what_is_detected_is_published(self, workers: int, classify_s: float) -> None:
        made: list[Rig] = []
        pause = slow(lambda: made[0], classify_s)
        looker = [ScriptedLooker(gate=slow(lambda: made[0], 0.01)) for _ in range(workers)]
        made.append(Rig(finders=looker, classifier=ScriptedClassifier(delay=pause), max_batch=32))
        rig = made[0]
        streams = {name: Stream(rig, name) for name in ("a", "b", "c", "d")}
        run(rig, streams, lambda: sum(map(rig.published, streams)) >= 200)
        snapshot = rig.counters.snapshot()
        detected = sum(count for (_, stage), count in snapshot.frames.items() if stage == "detection")
        assert sum(map(rig.published, streams)) >= 0.9 * detected

    def test_the_order_of_each_camera_is_kept(self) -> None:
        rig = Rig(finders=[ScriptedLooker() for _ in range(4)])
        streams = {name: Stream(rig, name) for name in ("a", "b")}
        run(rig, streams, lambda: min(map(rig.published, streams)) >= 100)
        for name in streams:
            assert rig.sink.indices(name) == sorted(set(rig.sink.indices(name)))

    def test_frames_wait_in_front_of_detection_and_nowhere_else(self) -> None:
        made: list[Rig] = []
        most: list[int] = []

        def look() -> None:
            queues = made[0].pipeline.queues()
            most.append(sum(queues[stage][0] for stage in ("tracking", "inference", "publishing")))

        made.append(Rig(finders=[ScriptedLooker(gate=look) for _ in range(2)], classifier=ScriptedClassifier()))
        rig = made[0]
        streams = {name: Stream(rig, name) for name in ("a", "b", "c")}
        run(rig, streams, lambda: sum(map(rig.published, streams)) >= 100)
        assert max(most) <= 3 + 2 * len(streams)  # the places in flight, and the ends of streams


class TestFairness:
    """Each camera gets the same share of what it asks for."""

    def test_cameras_are_served_by_the_rate_they_ask_for(self) -> None:
        periods = {"slow": 5.0, "slow too": 5.0, "fast": 1.0, "half": 2.0}
        streams: dict[str, Stream] = {}

        def ended() -> bool:
            return any(stream.enough.is_set() for stream in streams.values())

        def wait_for_all_cameras() -> None:
            """Let every camera have a frame in its lane, so that the pipeline alone decides who is served."""
            wait_until(lambda: ended() or rig.pipeline.queues()["detection"][0] >= len(periods))

        rig = Rig(finders=[ScriptedLooker(gate=wait_for_all_cameras)])
        streams.update({name: Stream(rig, name, period=period) for name, period in periods.items()})
        run(rig, streams, lambda: rig.published("slow") >= 40)
        shares = {name: rig.published(name) * period for name, period in periods.items()}
        assert max(shares.values()) / min(shares.values()) <= 1.3


class TestPlaces:
    """Every place in flight comes back, whatever becomes of its frame; ``Rig.check_ended`` counts them."""

    def test_after_failures_in_every_stage(self) -> None:
        failures = tuple(ModelError("device lost") if call % 5 == 1 else None for call in range(10_000))
        rig = Rig(
            finders=[ScriptedLooker(fails_at=range(0, 100_000, 7)) for _ in range(3)],
            classifier=ScriptedClassifier(failures=failures),
            labels_fail_at=range(0, 100_000, 11),
            max_batch=2,
        )
        streams = {name: Stream(rig, name) for name in ("a", "b")}
        run(rig, streams, lambda: sum(map(rig.published, streams)) >= 200)
        reasons = {(stage, reason) for _, stage, reason in rig.dropped()}
        assert {("detection", "error"), ("inference", "error")} <= reasons

    def test_after_a_stop_in_the_middle(self) -> None:
        rig = Rig(finders=[ScriptedLooker() for _ in range(2)])
        rig.pipeline.start()
        for name in ("a", "b", "c"):
            rig.add(name, Stream(rig, name), live=True)
        wait_until(lambda: min(map(rig.published, "abc")) > 10)
        assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
        rig.check_ended()

    def test_after_a_camera_was_removed_and_added_again(self) -> None:
        rig = Rig(finders=[ScriptedLooker() for _ in range(2)])
        rig.pipeline.start()
        for _ in range(5):
            rig.add("door", Stream(rig, "door"), live=True)
            before = rig.published("door")
            wait_until(lambda before=before: rig.published("door") > before + 5)  # type: ignore[misc]
            assert rig.pipeline.cameras.remove("door", timeout_s=PATIENCE_S)
        rig.finish()
