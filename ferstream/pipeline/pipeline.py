"""The stages of a pipeline, joined.

::

    cameras --lanes--> detection --> tracking --> inference --> publishing --> sinks
             (per camera,  (workers,    (1 thread)  (1 thread,    (1 thread)
              drop_oldest   in order                 batches)
              or block)     per camera)

Only the lanes in front of detection overflow; everything behind them blocks. Detection and inference drop live
frames that are older than the staleness budget when they get to them. ``start``, ``stop``, ``join`` and
``cameras`` are for the thread that owns the pipeline; the rest for any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ferstream.detection import stage as detection
from ferstream.domain.event import LabelledFrame
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream
from ferstream.domain.track import TrackedFrame
from ferstream.errors import ClosedError
from ferstream.inference import stage as inference
from ferstream.inference.batcher import Batcher
from ferstream.pipeline.cameras import CameraItem, PipelineCameras
from ferstream.pipeline.components import Components, PipelineConfig
from ferstream.pipeline.loss_counter import LossCounter
from ferstream.publishing import stage as publishing
from ferstream.publishing.summaries import Summaries
from ferstream.runtime.channel import Channel, Lanes, Overflow
from ferstream.runtime.clock import Clock
from ferstream.runtime.counters import Counters
from ferstream.runtime.in_flight import UNLIMITED, InFlight, Transit
from ferstream.runtime.stage import Stage, StageHooks
from ferstream.runtime.staleness import ExpectedTime, StalenessLimit
from ferstream.runtime.supervisor import Fatal, join_all
from ferstream.tracking import stage as tracking

PUBLISH_ITEMS = 16
"""Labelled frames that may wait for publishing, which never waits itself."""
STATE_ITEMS = 256
"""Camera states that may wait for publishing."""
IN_FLIGHT_SHARE = 0.5
"""Share of the staleness budget that a frame may need from detection to publishing until fewer frames are in flight at once."""
LAST_WAIT_S = 1.0
"""For stages that had a full channel in front of them, once it is abandoned."""

TrackedItem = TrackedFrame | EndOfStream


def keys_of(items: Iterable[object]) -> list[tuple[str, int]]:
    """Return the keys of the frames in ``items`` that are in flight; what only ends tracks is not."""
    return [
        item.info.key
        for item in items
        if isinstance(item, DetectedFrame) or (isinstance(item, TrackedFrame | LabelledFrame) and not item.end_of_stream)
    ]


class Pipeline:
    """Owns the stages, their channels and the cameras."""

    def __init__(
        self,
        *,
        components: Components,
        config: PipelineConfig,
        counters: Counters,
        clock: Clock,
        on_error: Callable[[str, BaseException], None],
        fatal: Fatal | None = None,
    ) -> None:
        """Join the stages; ``start`` runs them.

        Args:
            components: The adapters of the stages.
            config: Plain values that the stages follow.
            counters: Counts frames, faces and events.
            clock: Monotonic time and UTC.
            on_error: Called with the stage's name and the error when an item is lost.
            fatal: Takes the first error that ends the pipeline; by default one of its own.
        """
        self.counters, self.fatal = counters, fatal or Fatal()
        self._components, self._config, self._clock, self._on_error = components, config, clock, on_error
        self._losses = LossCounter(counters)
        spare = config.spare_places
        self._in_flight = InFlight(
            limit=UNLIMITED if spare is None else len(components.finders) + spare,
            target_s=config.staleness_s * IN_FLIGHT_SHARE,
            clock=clock,
        )
        self._behind_tracking = Transit(clock=clock)
        self._frames: Lanes[CameraItem] = Lanes()
        self._detected: Channel[DetectedFrame | EndOfStream] = Channel(capacity=config.channel_items)
        self._tracked: Channel[TrackedItem] = Channel(capacity=config.channel_items)
        self._publish: Lanes[publishing.Item] = Lanes()
        self._labelled = self._publish.open("frames", capacity=PUBLISH_ITEMS, overflow=Overflow.BLOCK)
        states = self._publish.open("states", capacity=STATE_ITEMS, overflow=Overflow.DROP_OLDEST)
        self.cameras = PipelineCameras(frames=self._frames, publish_state=states.put, losses=self._losses, decoders=len(components.finders))
        self._stages: tuple[Stage[object, object], ...] = (
            self._detection(),  # type: ignore[assignment]
            self._tracking(),
            self._inference(),
            self._publishing(),
        )

    # -- the stages ------------------------------------------------------------------------------

    def _detection(self) -> Stage[detection.NumberedFrame, DetectedFrame | EndOfStream]:
        self._ordered = ordered = detection.InOrder(
            emit=lambda item: self._hand_over(detection.NAME, self._detected.put, (item,)),
            lanes=self._frames,
            in_flight=self._in_flight,
            limit=self._limit(self._in_flight.time, deviations=2.0),
            observer=self.counters,
        )
        handlers = [detection.DetectionHandler(find=find, observer=self.counters) for find in self._components.finders]

        def take(timeout_s: float) -> detection.NumberedFrame:
            numbered = ordered.take(timeout_s)
            self.cameras.turns.taken()
            return numbered

        def failed(numbered: detection.NumberedFrame, exc: BaseException) -> None:
            self._losses.lost(detection.NAME, numbered[2:], "error")
            ordered.skip(numbered)
            self._on_error(detection.NAME, exc)

        hooks = StageHooks(take=take, emit=ordered.put, on_failed=failed, on_end=self._detected.close, on_fatal=self.fatal.report)
        return Stage(name=detection.NAME, handlers=handlers, hooks=hooks, observer=self.counters)

    def _tracking(self) -> Stage[DetectedFrame | EndOfStream, tuple[TrackedItem, ...]]:
        handler = tracking.TrackingHandler(new_tracker=self._components.new_tracker, observer=self.counters)
        hooks: StageHooks[DetectedFrame | EndOfStream, tuple[TrackedItem, ...]] = StageHooks(
            take=self._detected.get,
            emit=lambda _, items: self._hand_over(tracking.NAME, self._tracked.put, items),
            on_failed=lambda item, exc: self._failed(tracking.NAME, (item,), exc),
            on_end=self._tracked.close,
            on_fatal=self.fatal.report,
        )
        return Stage(name=tracking.NAME, handlers=[handler], hooks=hooks, observer=self.counters)

    def _inference(self) -> Stage[list[TrackedItem], list[inference.Labelled]]:
        handler = inference.InferenceHandler(
            classify=self._components.classify,
            new_labeller=self._components.new_labeller,
            limit=self._limit(self._behind_tracking.time, deviations=3.0),
            observer=self.counters,
            on_error=lambda exc: self._on_error(inference.NAME, exc),
            on_fatal=self.fatal.report,
        )
        batcher = Batcher(
            self._tracked,
            max_faces=self._config.max_batch,
            max_wait_s=self._config.max_wait_s,
            on_its_way=lambda: len(self._detected) > 0 or (len(self._frames) > 0 and self._in_flight.has_room),
        )

        def classify(batch: list[TrackedItem]) -> list[inference.Labelled]:
            self._behind_tracking.enter(keys_of(batch))
            return handler(batch)

        def hand_over(batch: Sequence[TrackedItem], items: Sequence[inference.Labelled]) -> None:
            published = {key for item in items if isinstance(item, LabelledFrame) for key in keys_of((item,))}
            self._leave([key for key in keys_of(batch) if key not in published], published=False)
            self._hand_over(inference.NAME, self._labelled.put, items)

        hooks: StageHooks[list[TrackedItem], list[inference.Labelled]] = StageHooks(
            take=batcher.take,
            emit=hand_over,
            on_failed=lambda batch, exc: self._failed(inference.NAME, batch, exc),
            on_end=self._publish.close,
            on_fatal=self.fatal.report,
        )
        return Stage(name=inference.NAME, handlers=[classify], hooks=hooks, observer=self.counters)

    def _publishing(self) -> Stage[publishing.Item, None]:
        config = self._config
        handler = publishing.PublishingHandler(
            publish=self._components.publish,
            allow=self._components.allow,
            summaries=Summaries(interval_s=config.summary_interval_s, privacy=config.privacy, clock=self._clock),
            privacy=config.privacy,
            observer=self.counters,
            clock=self._clock,
            view=self._components.view,
        )
        hooks: StageHooks[publishing.Item, None] = StageHooks(
            take=lambda timeout_s: self._publish.take(timeout_s)[2],
            emit=lambda item, result: self._leave(keys_of((item,)), published=True),
            on_failed=lambda item, exc: self._failed(publishing.NAME, (item,), exc),
            on_end=lambda: None,
            on_fatal=self.fatal.report,
            on_idle=handler.tick,
        )
        return Stage(name=publishing.NAME, handlers=[handler], hooks=hooks, observer=self.counters)

    def _hand_over(self, stage: str, put: Callable[[Any], None], items: Sequence[object]) -> None:
        """Give results to the next stage; results that it does not take any more are counted as dropped."""
        for item in items:
            try:
                put(item)
            except ClosedError:
                self._lost(stage, (item,), "shutdown")

    def _failed(self, stage: str, items: Sequence[object], exc: BaseException) -> None:
        self._lost(stage, items, "error")
        self._on_error(stage, exc)

    def _lost(self, stage: str, items: Sequence[object], reason: str) -> None:
        """Count items that were lost behind detection; they are no longer in flight."""
        self._losses.lost(stage, items, reason)
        self._leave(keys_of(items), published=False)

    def _leave(self, keys: Sequence[tuple[str, int]], *, published: bool) -> None:
        """Frames were published or lost: others may take their places."""
        if not keys:
            return
        if published:
            self._behind_tracking.leave(keys)
        else:
            self._behind_tracking.forget(keys)
        self._in_flight.leave(keys)
        if self._components.view is not None:
            self._components.view.drop_pictures(keys)

    def _limit(self, rest: ExpectedTime, *, deviations: float) -> StalenessLimit:
        return StalenessLimit(budget_s=self._config.staleness_s, rest=rest, deviations=deviations, clock=self._clock)

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the stages, last one first, so that everything has a reader."""
        for stage in reversed(self._stages):
            stage.start()

    def seal(self) -> None:
        """No more cameras will be added: the pipeline ends when those there are have ended."""
        self._frames.seal()

    def stop(self, *, timeout_s: float) -> list[str]:
        """End the cameras, then drain stage by stage; return the names of the threads that did not end in time."""
        deadline = time.monotonic() + timeout_s
        self.cameras.stop(timeout_s=timeout_s / 2)
        self._frames.close()  # also frees a camera that waits for room behind a stage that hangs
        stuck = join_all(self._stages, timeout_s=max(0.0, deadline - time.monotonic()))
        if stuck:
            self.abandon()
            stuck = join_all(self._stages, timeout_s=LAST_WAIT_S)
        return [f"capture-{name}" for name in self.cameras.alive()] + stuck

    def abandon(self) -> None:
        """Drop what waits, counted for the reason ``shutdown``."""
        self._losses.lost("detection", self._frames.abandon(), "shutdown")
        self._lost("tracking", self._detected.abandon(), "shutdown")
        self._lost("detection", self._ordered.abandon(), "shutdown")  # after the channel, whose fullness may hold its lock
        self._lost("inference", self._tracked.abandon(), "shutdown")
        self._lost("publishing", self._publish.abandon(), "shutdown")
        self._in_flight.lift()  # what a hanging stage holds does not leave

    def join(self, timeout_s: float) -> bool:
        """Wait until every stage has ended; True if so."""
        return not join_all(self._stages, timeout_s=timeout_s)

    # -- state -----------------------------------------------------------------------------------

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """The threads of the stages, without those of the cameras."""
        return tuple(thread for stage in self._stages for thread in stage.threads)

    @property
    def places(self) -> int:
        """Frames that may be between the start of detection and the end of publishing at present; 0 for no limit."""
        return self._in_flight.limit

    @property
    def places_in_use(self) -> int:
        """Frames between the start of detection and the end of publishing."""
        return self._in_flight.places_in_use

    def queues(self) -> Mapping[str, tuple[int, int]]:
        """Return the items that wait in front of each stage, and how many fit."""
        return {
            detection.NAME: (len(self._frames), self._frames.capacity),
            tracking.NAME: (len(self._detected), self._detected.capacity),
            inference.NAME: (len(self._tracked), self._tracked.capacity),
            publishing.NAME: (len(self._publish), self._publish.capacity),
        }
