"""Recordings through the pipeline: nothing dropped, time from the media, the same events every time.

Each video gets a pipeline of its own, one after the other, over networks loaded once. Names in
the events do not depend on the machine: the node is ``replay``, the run ``replay``, the camera
is named after the file.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ferstream.app.broker import broker_for, broker_url, mqtt_sink
from ferstream.app.factories import detection_plan, inference_plan
from ferstream.app.signals import stopping
from ferstream.app.sinks import encoder, flush_all, opened
from ferstream.capture.options import Playback
from ferstream.capture.recording import FileSource
from ferstream.capture.source import SourceInfo
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.domain.ports import Sink
from ferstream.errors import BrokerError, FerstreamError, FramesLostError, OutputError
from ferstream.labelling.smoothing import SmoothingLabeller
from ferstream.pipeline.models import Models
from ferstream.pipeline.pipeline import CameraCallbacks, Components, Pipeline, PipelineConfig
from ferstream.publishing.rate_limit import FaceRateLimit
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters, Snapshot
from ferstream.settings import Settings, load_settings
from ferstream.sinks.jsonl import JsonlSink
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.tracking.bytetrack import ByteTracker

NODE = RUN = "replay"
_NODE_CHARS = 57
"""Of a node's name, which may have 64, before ``-replay``."""
NO_FILE = Path(os.devnull)
CHANNEL_ITEMS = 16
"""Frames that may wait between stages: kept full, so that no core waits for another stage's turn."""
PROGRESS_S = 0.1
"""Between two looks at how far it is."""


def camera_name(path: Path) -> str:
    """Name the camera after the file: a-z, 0-9, _ and -, at most 32."""
    return re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-")[:32] or "video"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recording."""

    path: Path
    info: SourceInfo
    snapshot: Snapshot
    camera: str

    @property
    def frames(self) -> int:
        """Frames analysed."""
        return self.snapshot.frames.get((self.camera, "publishing"), 0)

    @property
    def faces(self) -> int:
        """Faces found."""
        return self.snapshot.faces.get((self.camera, "found"), 0)

    @property
    def lost(self) -> int:
        """Frames that were damaged or dropped."""
        return self.snapshot.dropped_frames(self.camera)


@dataclass(slots=True)
class Replayer:
    """Runs recordings one by one.

    Attributes:
        settings: Detection, inference and tracking as set; cameras are not used.
        models: Loaded with ``deterministic=True``.
        sinks: Take the events of all recordings.
        analysis_fps: Frames per second of media time, 0 = every frame.
        speed: 0 = as fast as it goes, else times media speed.
        max_hz_per_face: 0 = every observation.
        on_progress: Called with (camera, analysed frames, frames in all or None).
    """

    settings: Settings
    models: Models
    sinks: Sequence[Sink]
    analysis_fps: float = 0.0
    speed: float = 0.0
    max_hz_per_face: float = 0.0
    on_progress: Callable[[str, int, int | None], None] = lambda camera, done, total: None
    stop: threading.Event = field(default_factory=threading.Event)

    def replay(self, path: Path, info: SourceInfo | None = None) -> Outcome:
        """Run one recording to its end; ``info`` is what ``probe`` said of it, if it was asked already.

        Raises:
            SourceError: It cannot be read, or reading failed half-way.
            FerstreamError: A stage failed for good.
            FramesLostError: It was stopped before its end.
        """
        camera, counters = camera_name(path), Counters()
        info = info or probe(path)
        pipeline = self._pipeline(counters)
        pipeline.start()
        runners: list[CameraRunner] = []

        def make_runner(callbacks: CameraCallbacks) -> CameraRunner:
            runners.append(self._runner(path, camera, counters, callbacks))
            return runners[0]

        pipeline.add_camera(camera, live=False, make_runner=make_runner)
        pipeline.seal()
        try:
            self._watch(pipeline, counters, camera, info)
        finally:
            pipeline.stop(timeout_s=self.settings.runtime.shutdown_timeout_s)
        if runners[0].failure is not None:
            raise runners[0].failure
        return self._outcome(path, camera, info, pipeline, counters)

    def _watch(self, pipeline: Pipeline, counters: Counters, camera: str, info: SourceInfo) -> None:
        while not pipeline.join(PROGRESS_S):
            done = counters.snapshot().frames.get((camera, "publishing"), 0)
            self.on_progress(camera, done, info.frames)
            if self.stop.is_set() or pipeline.fatal.is_set():
                return

    def _outcome(self, path: Path, camera: str, info: SourceInfo, pipeline: Pipeline, counters: Counters) -> Outcome:
        outcome = Outcome(path, info, counters.snapshot(), camera)
        self.on_progress(camera, outcome.frames, outcome.frames)
        if pipeline.fatal.first is not None:
            where, error = pipeline.fatal.first
            raise error if isinstance(error, FerstreamError) else FerstreamError(f"{where} failed: {error}") from error
        if self.stop.is_set():
            raise FramesLostError(f"{path}: stopped after {outcome.frames} frames")
        return outcome

    def _source(self, path: Path, camera: str, counters: Counters) -> FileSource:
        return FileSource(
            path=path,
            camera=camera,
            observer=counters,
            width=self.settings.detection.width,
            analysis_fps=self.analysis_fps,
            playback=Playback(speed=self.speed),
        )

    def _runner(self, path: Path, camera: str, counters: Counters, callbacks: CameraCallbacks) -> CameraRunner:
        return CameraRunner(
            camera=camera,
            connect=lambda: self._source(path, camera, counters),
            live=False,
            callbacks=RunnerCallbacks(emit=callbacks.emit, on_state=callbacks.on_state, on_end=callbacks.on_end),
            observer=counters,
        )

    def _pipeline(self, counters: Counters) -> Pipeline:
        tracking, inference = self.settings.tracking, self.settings.inference
        components = Components(
            finders=self.models.finders(),
            new_tracker=lambda camera: ByteTracker(camera=camera, run=RUN, lifespan_s=tracking.lifespan_s),
            classify=self.models.classification(max_batch=inference.max_batch, observer=counters),
            new_labeller=lambda camera: SmoothingLabeller(time_constant_s=tracking.smoothing_s, min_confidence=inference.min_confidence),
            sinks=self.sinks,
            allow=FaceRateLimit(max_hz=self.max_hz_per_face).allows,
        )
        config = PipelineConfig(max_batch=inference.max_batch, max_wait_s=0.0, summary_interval_s=0.0, channel_items=CHANNEL_ITEMS)

        def on_error(stage: str, error: BaseException) -> None:
            if isinstance(error, OutputError):
                pipeline.fatal.report(stage, error)  # what cannot be written need not be computed
            else:
                self._report(stage, error)

        pipeline = Pipeline(components=components, config=config, counters=counters, clock=SystemClock(), on_error=on_error)
        return pipeline

    @staticmethod
    def _report(stage: str, error: BaseException) -> None:
        structlog.get_logger("ferstream.replay").error("a frame was lost", stage=stage, error=str(error), exc_info=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What the command line asks for; see ``ferstream replay --help``."""

    videos: tuple[Path, ...]
    events: str | None = None
    config: Path | None = None
    model: str | None = None
    fps: float = 0.0
    speed: float = 0.0
    max_hz: float = 0.0
    mqtt: bool = False


def replay_all(options: ReplayOptions, *, on_progress: Callable[[str, int, int | None], None]) -> list[Outcome]:
    """Replay recordings one after the other into the sinks that were asked for.

    Raises:
        FerstreamError: The first thing that cannot be done; see ``Replayer.replay``.
    """
    settings = _settings(options)
    infos = [probe(path) for path in options.videos]  # said at once, not after the networks were loaded and other recordings replayed
    models = Models(detection=detection_plan(settings), inference=inference_plan(settings, deterministic=True))
    with ExitStack() as stack:
        stack.callback(models.close)
        sinks = [stack.enter_context(opened(sink)) for sink in _sinks(options, settings, models, stack)]
        replayer = Replayer(
            settings=settings,
            models=models,
            sinks=sinks,
            analysis_fps=options.fps,
            speed=options.speed,
            max_hz_per_face=options.max_hz,
            on_progress=on_progress,
        )
        with stopping(replayer.stop):
            outcomes = [replayer.replay(path, info) for path, info in zip(options.videos, infos, strict=True)]
        undelivered = _undelivered(sinks, settings.runtime.shutdown_timeout_s)
        if undelivered:
            raise BrokerError(f"{undelivered} events did not reach {settings.mqtt.url}; ferstream check says why")
    return outcomes


def probe(path: Path) -> SourceInfo:
    """Open a recording and close it again.

    Raises:
        SourceError: It cannot be read.
    """
    source = FileSource(path=path, camera=camera_name(path), observer=Counters())
    try:
        return source.open()
    finally:
        source.close()


def _settings(options: ReplayOptions) -> Settings:
    flags: dict[str, object] = {} if options.model is None else {"inference.model": options.model}
    if options.config is None and not options.mqtt:
        # A replay depends on what it was told, not on what happens to lie in this folder or the environment.
        return load_settings(NO_FILE, environ={}, flags=flags)
    return load_settings(options.config, flags=flags)


def _sinks(options: ReplayOptions, settings: Settings, models: Models, stack: ExitStack) -> list[Sink]:
    sinks: list[Sink] = []
    if options.events is not None:
        sinks.append(JsonlSink(path=options.events, encoder=encoder(models.classifier, node=NODE, boot_id=RUN)))
    if options.mqtt:
        broker = stack.enter_context(broker_for(settings.mqtt))
        # A run of its own for each replay over MQTT, or a subscriber would take a second one for doubles.
        sinks.append(
            mqtt_sink(
                _beside_the_daemon(settings),
                classifier=models.classifier,
                boot_id=secrets.token_hex(8),
                observer=Counters(),
                url=broker_url(settings, broker),
                durable=False,
            )
        )
    return sinks


def _beside_the_daemon(settings: Settings) -> Settings:
    """A node and client of its own: else it would throw a daemon of these settings off the broker and report it as stopped."""
    node, client = f"{settings.node[:_NODE_CHARS]}-{NODE}", settings.mqtt.client_id
    mqtt = settings.mqtt.model_copy(update={"client_id": f"{client}-{NODE}" if client else ""})
    return settings.model_copy(update={"node": node, "mqtt": mqtt})


def _undelivered(sinks: Sequence[Sink], timeout_s: float) -> int:
    """Flush; events that did not arrive, those that a full outbox gave up included."""
    waiting = flush_all(sinks, timeout_s=timeout_s)
    return waiting + sum(sum(sink.counts().dropped.values()) for sink in sinks if isinstance(sink, MqttSink))
