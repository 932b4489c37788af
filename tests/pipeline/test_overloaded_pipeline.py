"""Whole pipelines that are offered more than they can do: what is detected is published, and each camera gets its share."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from ferstream.domain.frame import Frame
from ferstream.errors import ModelError
from ferstream.pipeline.components import SPARE_PLACES
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


class PacedStream:
    """A live camera that delivers one frame each time it is told to."""

    def __init__(self, rig: Rig, camera: str) -> None:
        self._rig, self._camera = rig, camera
        self._wanted = threading.Semaphore(0)
        self.enough = threading.Event()

    def deliver(self) -> None:
        """Deliver one more frame."""
        self._wanted.release()

    def end(self) -> None:
        """Deliver nothing more."""
        self.enough.set()
        self._wanted.release()

    def __iter__(self) -> Iterator[Frame]:
        for index in itertools.count():
            assert self._wanted.acquire(timeout=PATIENCE_S)
            if self.enough.is_set():
                return
            now_ns = self._rig.clock.monotonic_ns()
            made = frame(index, camera=self._camera, live=True, captured_ns=now_ns)
            object.__setattr__(made.info, "media_time_ns", now_ns + index)  # the decoder keeps up, so nobody waits for a turn
            yield made


class Turnstile:
    """Holds each call until it is let through."""

    def __init__(self) -> None:
        self._passes = threading.Semaphore(0)
        self._arrived = self._passed = 0
        self._is_open = False

    @property
    def holds_a_call(self) -> bool:
        """Whether a call waits here."""
        return self._arrived > self._passed

    def let_through(self) -> None:
        """Let the call that waits through."""
        self._passed += 1
        self._passes.release()

    def open(self) -> None:
        """Let everything through from now on."""
        self._is_open = True
        self._passes.release()

    def __call__(self) -> None:
        """Wait here."""
        self._arrived += 1
        if not self._is_open:
            assert self._passes.acquire(timeout=PATIENCE_S)


class Steps:
    """Runs an overloaded pipeline step by step: a call of the classifier each, which is all that takes time.

    The clock moves only while every other thread waits, so the result does not depend on how threads are scheduled.
    """

    def __init__(self, rig: Rig, streams: dict[str, PacedStream], turnstile: Turnstile) -> None:
        self._rig, self._streams, self._turnstile = rig, streams, turnstile
        self.waiting_behind: list[int] = []
        """Frames in front of the stages behind detection, after each delivery."""

    def run(self, steps: int, *, call_s: float) -> None:
        """Run so many steps, then end the cameras."""
        self._rig.pipeline.start()
        for camera, stream in self._streams.items():
            self._rig.add(camera, stream, live=True)
        for _ in range(steps):
            self._deliver()
            self._rig.clock.advance(call_s)
            self._deliver()  # a camera is faster than the classifier: what waits is replaced by what is fresh
            if self._turnstile.holds_a_call:
                self._turnstile.let_through()
        for stream in self._streams.values():
            stream.end()
        self._turnstile.open()
        self._rig.finish()

    @property
    def detected(self) -> int:
        """Frames that went through detection."""
        return sum(count for (_, stage), count in self._rig.counters.snapshot().frames.items() if stage == "detection")

    @property
    def published(self) -> int:
        """Frames that reached the end."""
        return sum(map(self._rig.published, self._streams))

    def _deliver(self) -> None:
        wait_until(self._is_settled)
        before = self._captured()
        for stream in self._streams.values():
            stream.deliver()
        wait_until(lambda: self._captured() == before + len(self._streams))
        wait_until(self._is_settled)
        queues = self._rig.pipeline.queues()
        self.waiting_behind.append(sum(queues[stage][0] for stage in ("tracking", "inference", "publishing")))

    def _captured(self) -> int:
        return sum(count for (_, stage), count in self._rig.counters.snapshot().frames.items() if stage == "capture")

    def _is_settled(self) -> bool:
        """Return whether all threads wait: nothing is on its way but the call of the classifier and what waits behind it."""
        counted = self._rig.counters.snapshot()
        waiting = self._rig.pipeline.queues()["detection"][0]
        behind = self.detected - self.published - sum(n for (_, stage, _), n in counted.dropped.items() if stage == "inference")
        if sum(map(counted.in_flight, self._streams)) != waiting + behind:
            return False  # a frame is in the hands of a camera or of a worker
        if behind and not self._turnstile.holds_a_call:
            return False
        return not waiting or behind >= self._rig.pipeline.places


class TestGoodput:
    """Work is spent on frames that are published."""

    @pytest.mark.parametrize("workers", [1, 2, 4])
    @pytest.mark.parametrize("classify_s", [0.02, 0.1, 0.2])
    def test_what_is_detected_is_published(self, workers: int, classify_s: float) -> None:
        turnstile = Turnstile()
        rig = Rig(finders=[ScriptedLooker() for _ in range(workers)], classifier=ScriptedClassifier(delay=turnstile), max_batch=4)
        steps = Steps(rig, {name: PacedStream(rig, name) for name in "abcdefgh"}, turnstile)
        steps.run(60, call_s=classify_s)
        assert steps.published >= 50
        assert steps.published >= 0.9 * steps.detected

    def test_the_order_of_each_camera_is_kept(self) -> None:
        rig = Rig(finders=[ScriptedLooker() for _ in range(4)])
        streams = {name: Stream(rig, name) for name in ("a", "b")}
        run(rig, streams, lambda: min(map(rig.published, streams)) >= 100)
        for name in streams:
            assert rig.sink.indices(name) == sorted(set(rig.sink.indices(name)))

    def test_frames_wait_in_front_of_detection_and_nowhere_else(self) -> None:
        turnstile = Turnstile()
        rig = Rig(finders=[ScriptedLooker() for _ in range(2)], classifier=ScriptedClassifier(delay=turnstile), max_batch=4)
        steps = Steps(rig, {name: PacedStream(rig, name) for name in "abcdefgh"}, turnstile)
        steps.run(20, call_s=0.02)
        assert max(steps.waiting_behind) <= 2 + SPARE_PLACES


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
