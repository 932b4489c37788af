"""Recordings through the pipeline: no frame is dropped, times are media times, and the events are the same every time.

The recordings are replayed one after the other, each through a pipeline of its own; the models are loaded once. Names in
the events do not depend on the machine: the node is ``replay``, the run is ``replay``, the camera is named after the file.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from ferstream.app.assembly import REPLAY, Engine, encoder, engine, replay_mode
from ferstream.app.broker import broker_for
from ferstream.app.pictures import picture_options
from ferstream.app.privacy import Masks, camera_of_recording, masks_of_recording, refuse_single_faces
from ferstream.app.signals import stopping
from ferstream.app.sinks import mqtt_sink, network_sinks
from ferstream.capture.file_bytes import STDIN, is_pipe
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS, PictureOptions
from ferstream.capture.opened import ReportedSource
from ferstream.capture.options import FrameOptions, Playback
from ferstream.capture.recording import FileSource
from ferstream.capture.source import SourceInfo
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.errors import BrokerError, ConfigError, FerstreamError, FramesLostError, SourceError
from ferstream.pipeline.components import CameraCallbacks
from ferstream.pipeline.models import Models
from ferstream.pipeline.pipeline import Pipeline
from ferstream.publishing.sink_set import SinkSet
from ferstream.publishing.stage import LEFT_EVENTS
from ferstream.runtime.counters import Counters, Snapshot
from ferstream.runtime.printable import printable
from ferstream.runtime.program import command
from ferstream.runtime.redaction import redact_source
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings, load_settings
from ferstream.sinks.jsonl import JsonlSink

NODE_CHARS = 57
"""Length to which a node's name is cut before ``-replay`` is added; the longest name has 64 characters."""
CAMERA_CHARS = 32
"""Length of the longest name of a camera."""
NO_FILE = Path(os.devnull)
UNKNOWN = SourceInfo(width=0, height=0, fps=0.0, frames=None, duration_s=None, codec="unknown")
"""The format of a pipe before it is opened."""
PROGRESS_S = 0.1
"""Seconds between two reports of the progress."""


def camera_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for the camera of each recording, in their order; no two are equal.

    The first recording of a name has it; the others get ``-2``, ``-3`` and so on, whatever else has such a name.
    """
    wanted = [camera_name(path) for path in paths]
    used = set(wanted)
    names, first = [], set[str]()
    for name in wanted:
        names.append(_numbered(name, used) if name in first else name)
        first.add(name)
    return names


def _numbered(name: str, used: set[str]) -> str:
    """Return the first of ``name-2``, ``name-3``, ... that is not used, and add it."""
    candidates = (f"{name[: CAMERA_CHARS - 1 - len(str(number))]}-{number}" for number in count(2))
    candidate = next(found for found in candidates if found not in used)
    used.add(candidate)
    return candidate


def shown_name(path: Path) -> str:
    """Return the name of a recording without its folders, on one line; ``stdin`` for the standard input."""
    return "stdin" if path == STDIN else printable(path.name)


def camera_name(path: Path) -> str:
    """Return the name of the camera of a recording, made from the file's name: a-z, 0-9, _ and -, at most 32 characters."""
    path = Path("stdin") if path == STDIN else path
    return re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-")[:CAMERA_CHARS] or "video"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of replaying one recording.

    Attributes:
        path: The recording.
        info: Its size, length and codec.
        snapshot: All counters at the end.
        camera: Name of its camera in the events.
    """

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

    @property
    def left(self) -> int:
        """Face events that say that a track left; they repeat its last label."""
        return self.snapshot.counts.get((LEFT_EVENTS, self.camera), 0)


@dataclass(slots=True, kw_only=True)
class Replayer:
    """Runs recordings one by one.

    Attributes:
        engine: Models and sinks, in replay mode.
        analysis_fps: Frames to analyse per second of media time; 0 = every frame.
        speed: Multiple of the media speed; 0 = as fast as possible.
        start_ns: UTC of the first frame in nanoseconds; None reads it from the file.
        masks: Privacy masks of the recordings.
        picture: Rotation, mirror and pixel aspect of the camera that made the recordings.
        on_progress: Called with (camera, analysed frames, all frames or None).
        stop: Ends the replay early when it is set; any thread may set it.
    """

    engine: Engine
    analysis_fps: float = 0.0
    speed: float = 0.0
    start_ns: int | None = None
    masks: Masks = ()
    picture: PictureOptions = AS_THE_SOURCE_SAYS
    on_progress: Callable[[str, int, int | None], None] = lambda camera, done, total: None
    stop: threading.Event = field(default_factory=threading.Event)

    def replay(self, path: Path, info: SourceInfo | None = None, *, camera: str | None = None) -> Outcome:
        """Replay one recording to its end.

        Args:
            path: The recording.
            info: The result of ``probe``; None for a pipe, which is opened once.
            camera: Name of its camera; None for the one that ``camera_name`` gives.

        Raises:
            SourceError: It cannot be read, or reading failed before the end.
            FerstreamError: A stage failed, or the events cannot be written.
            FramesLostError: It was stopped before its end.
        """
        camera, counters = camera or camera_name(path), Counters()
        opened = [info or UNKNOWN]
        self.engine.models.set_masks(camera, self.masks)
        pipeline = self.engine.new_pipeline(counters)
        pipeline.start()
        runners: list[CameraRunner] = []

        def make_runner(callbacks: CameraCallbacks) -> CameraRunner:
            runners.append(self._runner(path, camera, counters, callbacks, opened.append))
            return runners[0]

        pipeline.cameras.add(camera, live=False, make_runner=make_runner)
        pipeline.seal()
        try:
            self._watch(pipeline, camera, opened)
        finally:
            pipeline.stop(timeout_s=self.engine.settings.runtime.shutdown_timeout_s)
        if runners[0].failure is not None:
            raise runners[0].failure
        return self._outcome(pipeline, Outcome(path, opened[-1], counters.snapshot(), camera))

    def _watch(self, pipeline: Pipeline, camera: str, opened: Sequence[SourceInfo]) -> None:
        while not pipeline.join(PROGRESS_S):
            done = pipeline.counters.snapshot().frames.get((camera, "publishing"), 0)
            self.on_progress(camera, done, opened[-1].frames)
            if self.stop.is_set() or pipeline.fatal.is_set():
                return

    def _outcome(self, pipeline: Pipeline, outcome: Outcome) -> Outcome:
        complete = pipeline.fatal.first is None and not self.stop.is_set()
        self.on_progress(outcome.camera, outcome.frames, outcome.frames if complete else outcome.info.frames)
        if pipeline.fatal.first is not None:
            where, error = pipeline.fatal.first
            raise error if isinstance(error, FerstreamError) else FerstreamError(f"{where} failed: {error}") from error
        if self.stop.is_set():
            raise FramesLostError(f"{'stdin' if outcome.path == STDIN else outcome.path}: stopped after {outcome.frames} frames")
        return outcome

    def _runner(
        self, path: Path, camera: str, counters: Counters, callbacks: CameraCallbacks, on_open: Callable[[SourceInfo], None]
    ) -> CameraRunner:
        def connect() -> ReportedSource:
            source = FileSource(
                path=path,
                camera=camera,
                observer=counters,
                options=FrameOptions(width=self.engine.settings.detection.width, analysis_fps=self.analysis_fps, picture=self.picture),
                playback=Playback(speed=self.speed, start_ns=self.start_ns),
            )
            return ReportedSource(source, on_open=on_open)

        return CameraRunner(
            camera=camera,
            connect=connect,
            live=False,
            callbacks=RunnerCallbacks(emit=callbacks.emit, on_state=callbacks.on_state, on_end=callbacks.on_end),
            observer=counters,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """The options of ``ferstream replay``; see its ``--help``."""

    videos: tuple[Path, ...]
    events: str | None = None
    config: Path | None = None
    model: str | None = None
    fps: float = 0.0
    speed: float = 0.0
    max_hz: float = 0.0
    mqtt: bool = False
    camera: str | None = None
    start_ns: int | None = None


def replay_all(options: ReplayOptions, *, on_progress: Callable[[str, int, int | None], None]) -> list[Outcome]:
    """Replay recordings one after the other into the sinks of the options.

    Raises:
        FerstreamError: The first thing that cannot be done; see ``Replayer.replay``.
    """
    settings = _settings(options)
    masks, made_by = masks_of_recording(settings, options.camera), camera_of_recording(settings, options.camera)
    picture = AS_THE_SOURCE_SAYS if made_by is None else picture_options(made_by)
    if options.events is not None or options.mqtt:
        refuse_single_faces(settings, "--mqtt" if options.events is None else "--events")
    if options.start_ns is not None and len(options.videos) > 1:
        raise ConfigError("--start is the time of one recording; replay the others with a --start of their own")
    cameras = camera_names(options.videos)
    # Reports an unreadable file before models are loaded and other files replayed. A pipe cannot be read twice.
    infos = [None if is_pipe(path) else probe(path) for path in options.videos]
    with ExitStack() as stack:
        fatal = Fatal()
        made = stack.enter_context(
            engine(
                settings,
                mode=replay_mode(settings, max_hz_per_face=options.max_hz),
                make_outputs=lambda models: _outputs(options, settings, models, fatal, stack),
                fatal=fatal,
            )
        )
        replayer = Replayer(
            engine=made,
            analysis_fps=options.fps,
            speed=options.speed,
            start_ns=options.start_ns,
            masks=masks,
            picture=picture,
            on_progress=on_progress,
        )
        with stopping(replayer.stop):
            recordings = zip(options.videos, infos, cameras, strict=True)
            outcomes = [replayer.replay(path, info, camera=camera) for path, info, camera in recordings]
        undelivered = _undelivered(made.outputs, settings.runtime.shutdown_timeout_s)
        if undelivered:
            raise BrokerError(f"{undelivered} events did not reach {redact_source(settings.mqtt.url)}; {command('check')} says why")
    return outcomes


def probe(path: Path) -> SourceInfo:
    """Open a recording and close it again.

    Raises:
        SourceError: It cannot be read, or only once.
    """
    if is_pipe(path):
        raise SourceError(f"{path}: is a pipe, which can be read only once; write it to a file first")
    source = FileSource(path=path, camera=camera_name(path), observer=Counters())
    try:
        return source.open()
    finally:
        source.close()


def _settings(options: ReplayOptions) -> Settings:
    flags: dict[str, object] = {} if options.model is None else {"inference.model": options.model}
    if options.config is None and not options.mqtt:
        # Neither a settings file in the working directory nor variables of the environment change the events.
        return load_settings(NO_FILE, environ={}, flags=flags)
    return load_settings(options.config, flags=flags)


def _outputs(options: ReplayOptions, settings: Settings, models: Models, fatal: Fatal, stack: ExitStack) -> list[SinkSet]:
    outputs: list[SinkSet] = []
    sources = {camera: shown_name(path) for camera, path in zip(camera_names(options.videos), options.videos, strict=True)}
    if options.events is not None:
        file = SinkSet(
            encoder=encoder(models, node=REPLAY, boot_id=REPLAY, sources=sources),
            sinks=(JsonlSink(path=options.events),),
            observer=Counters(),
            on_failure=fatal.report,  # ends the replay: events that cannot be written need not be computed
        )
        outputs.append(file)
    if options.mqtt:
        broker = stack.enter_context(broker_for(settings, durable=False))
        beside = _beside_the_daemon(settings)
        # A new boot_id for each replay over MQTT: with the same one, subscribers would take a second replay for duplicates.
        sinks = network_sinks(
            beside,
            encoder=encoder(models, node=beside.node, boot_id=secrets.token_hex(8), sources=sources),
            observer=Counters(),
            durable=False,
            broker=broker,
            kinds=(mqtt_sink,),  # a webhook and Kafka were not asked for
        )
        outputs.append(sinks)
    return outputs


def _beside_the_daemon(settings: Settings) -> Settings:
    """Return the settings with another node and client id than those of a daemon with the same settings.

    With the same client id the broker would disconnect the daemon; with the same node, the end of the replay would be
    published as the end of the daemon.
    """
    node, client = f"{settings.node[:NODE_CHARS]}-{REPLAY}", settings.mqtt.client_id
    mqtt = settings.mqtt.model_copy(update={"client_id": f"{client}-{REPLAY}" if client else ""})
    return settings.model_copy(update={"node": node, "mqtt": mqtt})


def _undelivered(outputs: Sequence[SinkSet], timeout_s: float) -> int:
    """Flush the outputs; return the number of events that were not delivered, including those that a full outbox dropped."""
    left = sum(output.flush(timeout_s) for output in outputs)
    outboxes = [output.outbox for output in outputs if output.outbox is not None]
    return left + sum(sum(reader.counts().dropped.values()) for outbox in outboxes for reader in outbox.readers)
