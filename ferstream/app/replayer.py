"""One recording through the pipeline: no frame is dropped, times are media times, and the events are the same every time.

Each recording has a pipeline of its own; the models are loaded once. Main thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ferstream.app.assembly import Engine
from ferstream.app.privacy import Masks
from ferstream.app.recording_names import camera_name
from ferstream.capture.file_bytes import STDIN
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS, PictureOptions
from ferstream.capture.opened import ReportedSource
from ferstream.capture.options import FrameOptions, Playback
from ferstream.capture.recording import FileSource
from ferstream.capture.source import SourceInfo
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.detection.mask import PrivacyMask
from ferstream.errors import FerstreamError, FramesLostError
from ferstream.pipeline.components import CameraCallbacks
from ferstream.pipeline.pipeline import Pipeline
from ferstream.publishing.stage import LEFT_EVENTS
from ferstream.rendering.renderer import Renderer, RenderOptions
from ferstream.runtime.counters import Counters, Snapshot

UNKNOWN = SourceInfo(width=0, height=0, fps=0.0, frames=None, duration_s=None, codec="unknown")
"""The format of a pipe before it is opened."""
PROGRESS_S = 0.1
"""Seconds between two reports of the progress."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """How the video of a recording is drawn.

    Attributes:
        path: The video.
        blur: Whether faces are hidden.
        points: Whether the five landmarks are drawn.
    """

    path: Path
    blur: bool = False
    points: bool = False


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

    def replay(
        self, path: Path, info: SourceInfo | None = None, *, camera: str | None = None, video: VideoOptions | None = None
    ) -> Outcome:
        """Replay one recording to its end.

        Args:
            path: The recording.
            info: The result of ``probe``; None for a pipe, which is opened once.
            camera: Name of its camera; None for the one that ``camera_name`` gives.
            video: The video to make of it; None for none. If the replay is stopped, the video ends where the analysis ended.

        Raises:
            SourceError: It cannot be read, or reading failed before the end.
            FerstreamError: A stage failed, or the events or the video cannot be written.
            FramesLostError: It was stopped before its end.
        """
        camera, counters = camera or camera_name(path), Counters()
        opened = [info or UNKNOWN]
        self.engine.models.set_masks(camera, self.masks)
        renderer = None if video is None else self._renderer(path, video)
        pipeline = self._pipeline(counters, renderer)
        pipeline.start()
        runners: list[CameraRunner] = []

        def make_runner(callbacks: CameraCallbacks) -> CameraRunner:
            runners.append(self._runner(path, camera, counters, callbacks, opened.append))
            return runners[0]

        pipeline.cameras.add(camera, live=False, make_runner=make_runner)
        pipeline.seal()
        try:
            try:
                self._watch(pipeline, camera, opened)
            finally:
                pipeline.stop(timeout_s=self.engine.settings.runtime.shutdown_timeout_s)
            if renderer is not None and runners[0].failure is None and pipeline.fatal.first is None:
                renderer.finish(complete=not self.stop.is_set())
        finally:
            if renderer is not None:
                renderer.abandon()
        if runners[0].failure is not None:
            raise runners[0].failure
        return self._outcome(pipeline, Outcome(path, opened[-1], counters.snapshot(), camera))

    def _renderer(self, path: Path, video: VideoOptions) -> Renderer:
        options = RenderOptions(
            blur=video.blur, points=video.points, analysis_fps=self.analysis_fps, picture=self.picture, mask=PrivacyMask(self.masks)
        )
        return Renderer(path, video.path, options)

    def _pipeline(self, counters: Counters, renderer: Renderer | None) -> Pipeline:
        """Make the pipeline of one recording, and start the drawing."""
        if renderer is None:
            return self.engine.new_pipeline(counters)
        on_detected = renderer.add_detections if renderer.hides_faces else None
        pipeline = self.engine.new_watched_pipeline(counters, on_labelled=renderer.add, on_detected=on_detected)
        renderer.start(on_failure=pipeline.fatal.report)
        return pipeline

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
