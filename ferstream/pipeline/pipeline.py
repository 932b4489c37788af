"""The way of a frame, joined.

::

    cameras --lanes--> detection --> tracking --> inference --> publishing --> sinks
             (per camera,  (workers,    (1 thread)  (1 thread,    (1 thread)
              drop_oldest   in order                 batches)
              or block)     per camera)

Only the lanes in front of detection overflow; everything behind them blocks. Detection and
inference drop live frames that have grown stale by the time it is their turn. ``start``, ``add_camera``, ``remove_camera``,
``stop`` and ``join`` are for the thread that owns the pipeline; the rest for any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ferstream.detection import stage as detection
from ferstream.domain.event import CameraState, CameraStatus, FaceEvent
from ferstream.domain.face import DetectedFrame
from ferstream.domain.frame import EndOfStream, Frame
from ferstream.domain.ports import Sink
from ferstream.domain.track import TrackedFrame
from ferstream.errors import ClosedError
from ferstream.inference import stage as inference
from ferstream.inference.batcher import Batcher
from ferstream.pipeline.loss_counter import LossCounter
from ferstream.publishing import stage as publishing
from ferstream.runtime.channel import Channel, Lane, Lanes, Overflow
from ferstream.runtime.clock import Clock
from ferstream.runtime.counters import Counters
from ferstream.runtime.stage import Stage, StageHooks
from ferstream.runtime.supervisor import Fatal, join_all
from ferstream.tracking import stage as tracking
from ferstream.tracking.tracker import Labeller, Tracker

LIVE_LANE_FRAMES = 2
"""Frames of a live camera that may wait; more would only be older."""
RECORDING_LANE_FRAMES = 8
"""Decoded frames of a recording that may wait (3 MB each at 1080p); enough to keep two workers busy."""
CHANNEL_ITEMS = 2
"""Items between later stages while cameras are live. Few on purpose: what waits here grows old, and behind a slow
classifier a long queue would hold nothing but frames past the staleness budget; kept short, overload shows at the
lanes, where the freshest frame wins. Recordings lose nothing by waiting and have more, see ``PipelineConfig``."""
PUBLISH_ITEMS = 16
"""Labelled frames that may wait for publishing, which never waits itself."""
STATE_ITEMS = 256
"""Camera states that may wait for publishing."""
LAST_WAIT_S = 1.0
"""For stages that had a full channel in front of them, once it is abandoned."""

TrackedItem = TrackedFrame | EndOfStream


class Runner(Protocol):
    """Runs one camera; see ``ferstream.capture.stage``."""

    def start(self) -> None:
        """Begin to connect and deliver."""

    def stop(self) -> None:
        """Ask it to end; returns at once."""

    def join(self, timeout_s: float) -> bool:
        """Wait; True if its thread ended."""


@dataclass(frozen=True, slots=True)
class CameraCallbacks:
    """What a runner is given to talk to the pipeline."""

    emit: Callable[[Frame], None]
    on_state: Callable[[CameraState], None]
    on_end: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """What the stages do: the adapters, already built.

    Attributes:
        finders: One per detection worker: mask, detect, judge and cut one frame.
        new_tracker: Makes the tracker of a camera's connection.
        classify: (n, 48, 48) uint8 to (n, 7) float32.
        new_labeller: Makes the labeller of a camera's connection.
        sinks: Take the events.
        allow: Rate limit of face events.
    """

    finders: Sequence[Callable[[Frame], DetectedFrame]]
    new_tracker: Callable[[str], Tracker]
    classify: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    new_labeller: Callable[[str], Labeller]
    sinks: Sequence[Sink]
    allow: Callable[[FaceEvent], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """Plain values the stages follow.

    Attributes:
        staleness_s: A live frame older than this is not analysed.
        max_batch: Faces per batch.
        max_wait_s: Longest wait for a batch to fill.
        summary_interval_s: Between summaries; 0 = none.
        channel_items: Items that may wait between detection, tracking and inference.
        per_face: Whether face and track events are published at all.
        min_group_size: Without ``per_face``: summaries of fewer tracks are suppressed.
    """

    staleness_s: float = 0.5
    max_batch: int = 32
    max_wait_s: float = 0.005
    summary_interval_s: float = 10.0
    channel_items: int = CHANNEL_ITEMS
    per_face: bool = True
    min_group_size: int = 0


@dataclass(slots=True)
class _Camera:
    runner: Runner
    lane: Lane[Frame | EndOfStream]
    gone: threading.Event


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
    ) -> None:
        self.counters, self.fatal = counters, Fatal()
        self._components, self._config, self._clock, self._on_error = components, config, clock, on_error
        self._losses = LossCounter(counters)
        self._cameras: dict[str, _Camera] = {}
        self._states: dict[str, CameraState] = {}
        self._lock = threading.Lock()
        self._frames: Lanes[Frame | EndOfStream] = Lanes()
        self._detected: Channel[DetectedFrame | EndOfStream] = Channel(capacity=config.channel_items)
        self._tracked: Channel[TrackedItem] = Channel(capacity=config.channel_items)
        self._publish: Lanes[publishing.Item] = Lanes()
        self._labelled = self._publish.open("frames", capacity=PUBLISH_ITEMS, overflow=Overflow.BLOCK)
        self._state_lane = self._publish.open("states", capacity=STATE_ITEMS, overflow=Overflow.DROP_OLDEST)
        self._stages: tuple[Stage[object, object], ...] = (
            self._detection(),  # type: ignore[assignment]
            self._tracking(),
            self._inference(),
            self._publishing(),
        )

    # -- the stages ---------------------------------------------------------------------------

    def _detection(self) -> Stage[detection.Ticket, DetectedFrame | EndOfStream | None]:
        self._ordered = ordered = detection.InOrder(
            emit=lambda item: self._hand_over(detection.NAME, self._detected.put, (item,)), lanes=self._frames
        )
        handlers = [
            detection.DetectionHandler(find=find, staleness_s=self._config.staleness_s, observer=self.counters, clock=self._clock)
            for find in self._components.finders
        ]

        def failed(ticket: detection.Ticket, exc: BaseException) -> None:
            self._failed(detection.NAME, (ticket[2],), exc)
            ordered.skip(ticket)

        hooks = StageHooks(take=ordered.take, emit=ordered.put, on_failed=failed, on_end=self._detected.close, on_fatal=self.fatal.report)
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
            staleness_s=self._config.staleness_s,
            observer=self.counters,
            clock=self._clock,
            on_error=lambda exc: self._on_error(inference.NAME, exc),
            on_fatal=self.fatal.report,
        )
        batcher = Batcher(
            self._tracked,
            max_faces=self._config.max_batch,
            max_wait_s=self._config.max_wait_s,
            on_its_way=lambda: len(self._frames) + len(self._detected) > 0,
        )

        hooks: StageHooks[list[TrackedItem], list[inference.Labelled]] = StageHooks(
            take=batcher.take,
            emit=lambda _, items: self._hand_over(inference.NAME, self._labelled.put, items),
            on_failed=lambda batch, exc: self._failed(inference.NAME, batch, exc),
            on_end=self._publish.close,
            on_fatal=self.fatal.report,
        )
        return Stage(name=inference.NAME, handlers=[handler], hooks=hooks, observer=self.counters)

    def _publishing(self) -> Stage[publishing.Item, None]:
        handler = publishing.PublishingHandler(
            sinks=self._components.sinks,
            allow=self._components.allow,
            summary_interval_s=self._config.summary_interval_s,
            per_face=self._config.per_face,
            min_group_size=self._config.min_group_size,
            observer=self.counters,
            clock=self._clock,
        )
        hooks: StageHooks[publishing.Item, None] = StageHooks(
            take=lambda timeout_s: self._publish.take(timeout_s)[2],
            emit=lambda item, result: None,
            on_failed=lambda item, exc: self._failed(publishing.NAME, (item,), exc),
            on_end=lambda: None,
            on_fatal=self.fatal.report,
            on_idle=handler.tick,
        )
        return Stage(name=publishing.NAME, handlers=[handler], hooks=hooks, observer=self.counters)

    def _hand_over(self, stage: str, put: Callable[[Any], None], items: Sequence[object]) -> None:
        """Give results to the next stage; what it will not take any more is counted."""
        for item in items:
            try:
                put(item)
            except ClosedError:
                self._losses.lost(stage, (item,), "shutdown")

    def _failed(self, stage: str, items: Sequence[object], exc: BaseException) -> None:
        self._losses.lost(stage, items, "error")
        self._on_error(stage, exc)

    # -- cameras ------------------------------------------------------------------------------

    def add_camera(self, name: str, *, live: bool, make_runner: Callable[[CameraCallbacks], Runner]) -> None:
        """Add a camera; before or after ``start``.

        Raises:
            ValueError: The name is in use.
            ClosedError: The pipeline is ending.
        """
        lane = self._frames.open(
            name,  # the same one when it comes back: its numbers go on, so no worker can pass the new life before the old one
            capacity=LIVE_LANE_FRAMES if live else RECORDING_LANE_FRAMES,
            overflow=Overflow.DROP_OLDEST if live else Overflow.BLOCK,
            on_drop=lambda item: self._losses.lost("capture", (item,), "overflow"),
            keep=lambda item: isinstance(item, EndOfStream),  # or tracks would live on in the next connection
        )
        gone = threading.Event()
        try:
            runner = make_runner(self._outlet(name, lane, gone))
        except BaseException:
            lane.close()  # nobody else would, and the pipeline would never end
            raise
        lane.put(EndOfStream(name, final=False))  # ends the tracks of a life before that could not end them itself
        self._cameras[name] = _Camera(runner, lane, gone)
        runner.start()

    def _outlet(self, name: str, lane: Lane[Frame | EndOfStream], gone: threading.Event) -> CameraCallbacks:
        broken = {CameraStatus.RECONNECTING, CameraStatus.OFFLINE, CameraStatus.STALLED, CameraStatus.DISABLED}

        def emit(frame: Frame) -> None:
            try:
                lane.put(frame)
            except ClosedError:
                self._losses.lost("capture", (frame,), "shutdown")
                raise

        def on_state(state: CameraState) -> None:
            with self._lock:
                if gone.is_set():
                    return  # a thread that a removal left behind; whatever is told of the name now is not its business
                previous = self._states.get(name)
                self._tell(state)
            if previous is not None and previous.status is CameraStatus.ONLINE and state.status in broken:
                with suppress(ClosedError):  # the camera has ended, and its tracks with it
                    lane.put(EndOfStream(name, final=False))

        def on_end() -> None:
            with suppress(ClosedError):  # closed by a stop, which ends every track anyway
                lane.put(EndOfStream(name, final=True))
            lane.close()

        return CameraCallbacks(emit, on_state, on_end)

    def ask_to_end(self, name: str) -> None:
        """Tell a camera to end, if there is one; ``remove_camera`` then has less to wait for."""
        if name in self._cameras:
            self._cameras[name].runner.stop()

    def remove_camera(self, name: str, *, timeout_s: float) -> bool:
        """End one camera and wait until what it delivered is on its way; True if that was in time.

        What was not is dropped for the reason ``shutdown``. A camera of the same name can be added at once.
        """
        deadline = time.monotonic() + timeout_s
        camera = self._cameras.pop(name)
        camera.runner.stop()
        ended = camera.runner.join(timeout_s)
        drained = camera.lane.drain(max(0.0, deadline - time.monotonic()))
        self._losses.lost("detection", camera.lane.abandon(), "shutdown")
        with self._lock:
            camera.gone.set()
            self._states.pop(name, None)
        return ended and drained

    def tell(self, state: CameraState) -> None:
        """Publish a camera's state that no runner tells, e.g. that it is disabled."""
        with self._lock:
            self._tell(state)

    def _tell(self, state: CameraState) -> None:
        """Under the lock: what is published last is what is known."""
        self._states[state.camera] = state
        with suppress(ClosedError):  # the pipeline is ending; there is nobody left to tell
            self._state_lane.put(state)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that run."""
        return tuple(self._cameras)

    def seal(self) -> None:
        """No more cameras will be added: the pipeline ends when those there are have ended."""
        self._frames.seal()

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the stages, last one first, so that everything has a reader."""
        for stage in reversed(self._stages):
            stage.start()

    def stop(self, *, timeout_s: float) -> list[str]:
        """End cameras, then drain stage by stage; names of what outlived the deadline (empty: all ended)."""
        deadline = time.monotonic() + timeout_s
        for camera in self._cameras.values():
            camera.runner.stop()
        for camera in self._cameras.values():
            camera.runner.join(max(0.0, deadline - time.monotonic()) / 2)
        self._frames.close()  # also frees a camera that waits for room behind a stage that hangs
        stuck = join_all(self._stages, timeout_s=max(0.0, deadline - time.monotonic()))
        if stuck:
            self.abandon()
            stuck = join_all(self._stages, timeout_s=LAST_WAIT_S)
        return [f"capture-{name}" for name, camera in self._cameras.items() if not camera.runner.join(0.0)] + stuck

    def abandon(self) -> None:
        """Give up what waits, counted as dropped for the reason ``shutdown``."""
        self._losses.lost("detection", self._frames.abandon(), "shutdown")
        self._losses.lost("tracking", self._detected.abandon(), "shutdown")
        self._losses.lost("detection", self._ordered.abandon(), "shutdown")  # after the channel, whose fullness may hold its lock
        self._losses.lost("inference", self._tracked.abandon(), "shutdown")
        self._losses.lost("publishing", self._publish.abandon(), "shutdown")

    def join(self, timeout_s: float) -> bool:
        """Wait until every stage has ended."""
        return not join_all(self._stages, timeout_s=timeout_s)

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """Every thread of the stages (the cameras' own are theirs)."""
        return tuple(thread for stage in self._stages for thread in stage.threads)

    # -- state --------------------------------------------------------------------------------

    def queues(self) -> Mapping[str, tuple[int, int]]:
        """Items waiting in front of each stage, and how many fit."""
        return {
            detection.NAME: (len(self._frames), self._frames.capacity),
            tracking.NAME: (len(self._detected), self._detected.capacity),
            inference.NAME: (len(self._tracked), self._tracked.capacity),
            publishing.NAME: (len(self._publish), self._publish.capacity),
        }

    def camera_states(self) -> Mapping[str, CameraState]:
        """The present state of each camera."""
        with self._lock:
            return dict(self._states)
