"""A whole pipeline of scripted parts, and the balances that its counters must satisfy."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import Frame
from ferstream.domain.ports import LiveView
from ferstream.inference.batch_classifier import BatchClassifier
from ferstream.pipeline.components import CameraCallbacks, Components, PipelineConfig, Runner
from ferstream.pipeline.pipeline import Pipeline
from ferstream.runtime.counters import Counters, Snapshot
from tests.support.builders import frame
from tests.support.classifiers import ScriptedClassifier
from tests.support.clock import FakeClock
from tests.support.runners import PATIENCE_S, ScriptedLabeller, ScriptedLooker, ScriptedRunner, ScriptedSink, ScriptedTracker


class Rig:
    """The real pipeline with scripted parts; each part can be replaced."""

    def __init__(
        self,
        *,
        finders: Sequence[Callable[[Frame], DetectedFrame]] | None = None,
        new_tracker: Callable[[str], ScriptedTracker] = ScriptedTracker,
        classifier: ScriptedClassifier | None = None,
        labels_fail_at: Container[int] = (),
        sink: ScriptedSink | None = None,
        view: LiveView | None = None,
        **config: Any,
    ) -> None:
        """``config`` are fields of ``PipelineConfig``; batches are of 8 faces at most and wait for nothing by default."""
        chosen = PipelineConfig(**({"max_batch": 8, "max_wait_s": 0.0, "summary_interval_s": 0.0} | config))
        self.clock, self.counters = FakeClock(), Counters()
        self.sink = sink or ScriptedSink()
        self.errors: list[tuple[str, BaseException]] = []
        self.cameras: dict[str, ScriptedRunner] = {}
        self.left_behind: list[ScriptedRunner] = []
        self.names: set[str] = set()
        components = Components(
            finders=finders or [ScriptedLooker()],
            new_tracker=new_tracker,
            classify=BatchClassifier(classifier or ScriptedClassifier(), max_batch=chosen.max_batch, observer=self.counters),
            new_labeller=lambda camera: ScriptedLabeller(fails_at=labels_fail_at),
            publish=self.sink.write,
            allow=lambda event: True,
            view=view,
        )
        self.pipeline = Pipeline(
            components=components,
            config=chosen,
            counters=self.counters,
            clock=self.clock,
            on_error=lambda stage, exc: self.errors.append((stage, exc)),
        )

    def add(
        self,
        name: str,
        frames: int | Iterable[Frame],
        *,
        live: bool = False,
        before_each: Callable[[int, CameraCallbacks], None] = lambda place, callbacks: None,
        linger: bool = False,
    ) -> ScriptedRunner:
        """Add a camera that delivers a number of frames, or the given ones."""
        given = self.frames(name, frames, live=live) if isinstance(frames, int) else frames

        def make(callbacks: CameraCallbacks) -> Runner:
            self.cameras[name] = ScriptedRunner(
                name, counters=self.counters, callbacks=callbacks, frames=given, before_each=before_each, linger=linger
            )
            return self.cameras[name]

        self.names.add(name)
        self.pipeline.cameras.add(name, live=live, make_runner=make)
        return self.cameras[name]

    def frames(self, camera: str, count: int, *, live: bool = False, first: int = 0) -> Iterable[Frame]:
        """Frames that are created, with their capture time, one by one when they are requested."""
        for index in range(first, first + count):
            yield frame(index, camera=camera, live=live, captured_ns=self.clock.monotonic_ns())

    def finish(self) -> None:
        """Let every camera reach its end, and wait until the pipeline has ended."""
        self.pipeline.seal()
        assert self.pipeline.join(PATIENCE_S), "the pipeline did not end"
        self.check_ended()

    def check_ended(self) -> Snapshot:
        """Assert that everything has ended and that every frame and face is counted."""
        assert not [thread.name for thread in self.pipeline.threads if thread.is_alive()]
        for runner in (*self.cameras.values(), *self.left_behind):
            assert runner.join(PATIENCE_S)
        assert self.pipeline.places_in_use == 0
        snapshot = self.counters.snapshot()
        in_flight = {camera: snapshot.in_flight(camera) for camera in self.names}
        assert not any(in_flight.values()), f"in flight {in_flight}, frames {snapshot.frames}, dropped {snapshot.dropped}"
        for camera in self.names:
            outcomes = [snapshot.faces.get((camera, outcome), 0) for outcome in ("classified", "skipped", "dropped")]
            assert snapshot.faces.get((camera, "found"), 0) == sum(outcomes), (camera, outcomes)
        return snapshot

    def dropped(self) -> dict[tuple[str, str, str], int]:
        """Frames lost, by camera, stage and reason."""
        return dict(self.counters.snapshot().dropped)

    def published(self, camera: str) -> int:
        """Frames that reached the end of the pipeline."""
        return self.counters.snapshot().frames.get((camera, "publishing"), 0)
