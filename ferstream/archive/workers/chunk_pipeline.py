"""The pipeline of ``replay`` over one chunk, with a recorder in place of tracks, labels and events. Models are loaded once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence

from ferstream.app.assembly import replay_mode
from ferstream.archive.workers.recorder import Recorder
from ferstream.capture.source import Source, SourceInfo
from ferstream.capture.span import COMPARED
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.domain.frame import Frame
from ferstream.errors import FerstreamError, ShutdownError, SourceError, first_line
from ferstream.pipeline.components import CameraCallbacks, Components
from ferstream.pipeline.models import FaceFinder, Models
from ferstream.pipeline.pipeline import Pipeline
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters, Snapshot
from ferstream.runtime.supervisor import Fatal
from ferstream.settings import Settings

CAMERA = "archive"
"""Name of the camera in the pipeline; that of the recording is given to its events in the merge."""
_WAIT_S = 0.1
"""Longest time in seconds until an error ends the pipeline."""


class ChunkPipeline:
    """Runs one source after the other through pipelines that share models and face finders. One thread."""

    def __init__(self, settings: Settings, models: Models) -> None:
        """Make the face finders; nothing is started yet.

        Args:
            settings: Those of the plan.
            models: The models, loaded for the mode of ``replay``; the masks of ``CAMERA`` are set.
        """
        self._settings, self._models = settings, models
        self._finders: Sequence[FaceFinder] = models.finders()
        self._config = replay_mode(settings).config

    def run(self, source: Source, counters: Counters) -> tuple[Recorder, Snapshot]:
        """Record all frames of a source; all threads have ended afterwards.

        Args:
            source: The source, not opened yet; it counts in ``counters`` too.
            counters: New counters.

        Returns:
            What was recorded, and all counts.

        Raises:
            SourceError: The source cannot be read, or not to its end.
            ShutdownError: A thread hangs; nothing more can be done in this process.
            FerstreamError: A frame was lost by an error.
        """
        recorder, fatal = Recorder(), Fatal()
        pipeline = Pipeline(
            components=self._components(recorder, counters),
            config=self._config,
            counters=counters,
            clock=SystemClock(),
            on_error=fatal.report,  # the first frame that is lost makes the chunk worthless
            fatal=fatal,
        )
        runners: list[CameraRunner] = []

        def make_runner(callbacks: CameraCallbacks) -> CameraRunner:
            runners.append(_runner(source, counters, callbacks))
            return runners[0]

        try:
            pipeline.start()
            pipeline.cameras.add(CAMERA, live=False, make_runner=make_runner)
            pipeline.seal()
            while not pipeline.join(_WAIT_S) and not fatal.is_set():
                pass
        finally:
            hanging = pipeline.stop(timeout_s=self._settings.runtime.shutdown_timeout_s)
            gc.collect()  # stages and callbacks refer to each other, and the last pictures would stay: 100 MB after some chunks
            if hanging or any(runner.abandoned for runner in runners):
                raise ShutdownError(f"these threads do not end: {', '.join(hanging) or 'the one that reads the recording'}")
        _raise_first(runners[0].failure, fatal)
        return recorder, counters.snapshot()

    def _components(self, recorder: Recorder, counters: Counters) -> Components:
        return Components(
            finders=self._finders,
            new_tracker=lambda camera: recorder,
            classify=self._models.classification(max_batch=self._settings.inference.max_batch, observer=counters),
            new_labeller=lambda camera: recorder,
            publish=lambda event: None,
            allow=lambda event: False,
        )


def _runner(source: Source, counters: Counters, callbacks: CameraCallbacks) -> CameraRunner:
    return CameraRunner(
        camera=CAMERA,
        connect=lambda: source,
        live=False,
        callbacks=RunnerCallbacks(emit=callbacks.emit, on_state=callbacks.on_state, on_end=callbacks.on_end),
        observer=counters,
    )


def _raise_first(failure: SourceError | None, fatal: Fatal) -> None:
    """Raise what ended the pipeline, if anything did."""
    if failure is not None:
        raise failure
    if fatal.first is not None:
        where, error = fatal.first
        raise FerstreamError(f"{where} failed: {type(error).__name__}: {first_line(error)}") from error


class UpToOverlap:
    """A source that ends as soon as the overlap of its chunk was read: its first analysed picture, and those that are compared."""

    def __init__(self, source: Source, *, end: int) -> None:
        """Set up; nothing is opened yet.

        Args:
            source: Source of the frames of a chunk and behind it.
            end: Number of the first picture behind the chunk.
        """
        self._source, self._end = source, end

    @property
    def last_activity_ns(self) -> int:
        """See ``Source``."""
        return self._source.last_activity_ns

    def open(self) -> SourceInfo:
        """See ``Source``."""
        return self._source.open()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of the chunk, and the first one behind it."""
        is_behind = False
        for frame in self._source.frames():
            if not is_behind:
                yield frame
            is_behind = frame.info.index >= self._end
            if frame.info.index >= self._end + COMPARED - 1:
                return

    def close(self) -> None:
        """See ``Source``."""
        self._source.close()
