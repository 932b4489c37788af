"""Analyses the chunks of an archive: the pipeline of ``replay`` with a recorder in place of tracks and labels.

The models are loaded once; each chunk has a pipeline of its own. One thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ferstream.app.assembly import Engine, load_models, replay_mode
from ferstream.app.factories import cores as all_cores
from ferstream.app.pictures import picture_options
from ferstream.archive.chunk_file import ChunkResult, encode_result, result_name
from ferstream.archive.examine import fingerprint
from ferstream.archive.plan import WHOLE, Chunk, Plan, PlannedRecording, chunks_name, decode_chunks
from ferstream.archive.recorder import ChunkRecorder
from ferstream.archive.sources import SourceCache
from ferstream.archive.store import Store
from ferstream.archive.tasks import Differs, Done, Failed, Outcome, Task
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS
from ferstream.capture.options import FrameOptions, Playback
from ferstream.capture.recording import FileSource
from ferstream.capture.source import Source
from ferstream.capture.span import Span, SpanError, SpanSource
from ferstream.capture.stage import CameraRunner, RunnerCallbacks
from ferstream.errors import FerstreamError, OutputError, SourceError, first_line
from ferstream.pipeline.components import CameraCallbacks
from ferstream.pipeline.pipeline import Pipeline
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters, Snapshot
from ferstream.settings import Settings

_WAIT_S = 0.5
_DAMAGED = ("decode", "damaged")
"""Stage and reason of frames that a recording lacks; whatever else is lost was lost here."""


class AttemptError(FerstreamError):
    """A chunk was not analysed for a reason that is not its own; another attempt may succeed."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What one pass over a chunk gave.

    Attributes:
        recorder: What was found.
        snapshot: All counters.
    """

    recorder: ChunkRecorder
    snapshot: Snapshot


Connect = Callable[[Counters], Source]
"""Makes the source of a chunk, which counts what it reads."""


class Analyzer:
    """Analyses one chunk after the other; a context that loads the models and frees them."""

    def __init__(self, store: Store, plan: Plan, *, cores: int = 0) -> None:
        """Nothing is loaded yet.

        Args:
            store: The archive.
            plan: Its plan.
            cores: Cores that this worker may use, which decide about the number of its threads; 0 for all.
        """
        self._store, self._plan = store, plan
        settings = Settings.model_validate(dict(plan.settings))
        workers = settings.detection.workers or min(cores or all_cores(), all_cores())
        self._settings = settings.model_copy(update={"detection": settings.detection.model_copy(update={"workers": workers})})
        camera = settings.cameras[0] if settings.cameras else None
        self._masks = () if camera is None else camera.masks
        self._picture = AS_THE_SOURCE_SAYS if camera is None else picture_options(camera)
        self._fps = float(plan.options.get("fps", 0.0))
        self._stack = ExitStack()
        self._sources = SourceCache()
        self._chunks: tuple[int, tuple[Chunk, ...]] = (-1, ())

    def __enter__(self) -> Analyzer:
        """Load the models.

        Raises:
            ModelError: One of them cannot be used.
        """
        mode = replay_mode(self._settings)
        models = load_models(self._settings, mode)
        self._stack.callback(models.close)
        self._stack.callback(self.forget_source)
        self._engine = Engine(self._settings, mode=mode, models=models, outputs=())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def forget_source(self) -> None:
        """Remove what was fetched from an object store; any thread, when the worker is about to end."""
        self._sources.close()

    def analyze(self, task: Task) -> Outcome:
        """Analyse a chunk and write its result to the store."""
        started = time.monotonic()
        recording = self._plan.recordings[task.recording]
        try:
            result = self._result(task, recording)
        except SpanError as exc:
            return Differs(first_line(exc))
        except SourceError as exc:
            return Failed(first_line(exc), is_final=True)
        except FerstreamError as exc:
            return Failed(first_line(exc))
        name = result_name(result)
        try:
            self._store.write(name, encode_result(result))
        except OutputError as exc:
            return Failed(first_line(exc), stops_all=True)
        own = len(result.frames.index) - result.overlap
        faces = int(result.frames.faces[:own].sum())
        return Done(name, result.decoded, faces, result.lost, time.monotonic() - started)

    def _result(self, task: Task, recording: PlannedRecording) -> ChunkResult:
        path = self._sources.fetch(recording.path)
        found = fingerprint(path)
        if (found.size, found.head) != (recording.size, recording.head):
            raise SourceError(f"{recording.path}: has changed since the plan; plan the archive again in a new folder")
        if task.is_whole:
            return self._whole(recording, path)
        return self._span(recording, path, task.chunk)

    def _whole(self, recording: PlannedRecording, path: Path) -> ChunkResult:
        def connect(counters: Counters) -> FileSource:
            playback = Playback(start_ns=recording.utc_origin_ns)
            return FileSource(path=path, camera=recording.camera, observer=counters, options=self._options(), playback=playback)

        read = self._read(recording, connect)
        return ChunkResult(
            recording=recording.number,
            chunk=WHOLE,
            frames=read.recorder.frames(),
            faces=read.recorder.faces(),
            decoded=read.snapshot.frames.get((recording.camera, "decode"), 0),
            lost=read.snapshot.dropped_frames(recording.camera),
        )

    def _span(self, recording: PlannedRecording, path: Path, number: int) -> ChunkResult:
        span = span_of(self._chunks_of(recording.number), number, recording.origin_pts)
        sources: list[SpanSource] = []

        def connect(counters: Counters) -> SpanSource:
            options, origin = self._options(), recording.utc_origin_ns
            source = SpanSource(path=path, camera=recording.camera, span=span, observer=counters, options=options, utc_origin_ns=origin)
            sources.append(source)
            return source

        read = self._read(recording, connect)
        if read.snapshot.dropped_frames(recording.camera):
            raise SpanError(f"{recording.source}: pictures of chunk {number} are damaged")
        frames, (source,) = read.recorder.frames(), sources
        return ChunkResult(
            recording=recording.number,
            chunk=number,
            frames=frames,
            faces=read.recorder.faces(),
            overlap=int((frames.index >= span.first_frame + len(span.pts)).sum()),
            decoded=len(span.pts),
            head=source.head,
            tail=source.tail,
        )

    def _options(self) -> FrameOptions:
        return FrameOptions(width=self._settings.detection.width, analysis_fps=self._fps, picture=self._picture)

    def _chunks_of(self, recording: int) -> tuple[Chunk, ...]:
        if self._chunks[0] != recording:
            name = chunks_name(recording)
            self._chunks = recording, decode_chunks(self._store.read(name), name)
        return self._chunks[1]

    def _read(self, recording: PlannedRecording, connect: Connect) -> _Read:
        """Run a source through a pipeline.

        Raises:
            SourceError: The source cannot be read.
            AttemptError: Frames were lost for another reason than that they are damaged.
            FerstreamError: A stage failed.
        """
        counters, recorder, errors = Counters(), ChunkRecorder(), list[BaseException]()
        camera, models = recording.camera, self._engine.models
        models.set_masks(camera, self._masks)
        pipeline = self._pipeline(counters, recorder, errors)
        pipeline.start()
        runners: list[CameraRunner] = []

        def make_runner(callbacks: CameraCallbacks) -> CameraRunner:
            back = RunnerCallbacks(emit=callbacks.emit, on_state=callbacks.on_state, on_end=callbacks.on_end)
            source = partial(connect, counters)
            runners.append(CameraRunner(camera=camera, connect=source, live=False, callbacks=back, observer=counters))
            return runners[0]

        try:
            pipeline.cameras.add(camera, live=False, make_runner=make_runner)
            pipeline.seal()
            while not pipeline.join(_WAIT_S) and not pipeline.fatal.is_set():
                pass
        finally:
            stuck = pipeline.stop(timeout_s=self._settings.runtime.shutdown_timeout_s)
            models.end_of_pipeline()
        if runners[0].failure is not None:
            raise runners[0].failure
        _check(pipeline, camera, errors, stuck)
        return _Read(recorder, counters.snapshot())

    def _pipeline(self, counters: Counters, recorder: ChunkRecorder, errors: list[BaseException]) -> Pipeline:
        components = replace(
            self._engine.components(counters),
            new_tracker=lambda camera: recorder,
            new_labeller=lambda camera: recorder,
            publish=lambda event: None,
            allow=lambda event: False,
        )
        return Pipeline(
            components=components,
            config=self._engine.mode.config,
            counters=counters,
            clock=SystemClock(),
            on_error=lambda stage, error: errors.append(error),
        )


def span_of(chunks: tuple[Chunk, ...], number: int, origin_pts: int) -> Span:
    """Return what of a recording a chunk is.

    Args:
        chunks: All chunks of the recording, in order.
        number: Number of the chunk.
        origin_pts: Timestamp of the first picture of the recording.
    """
    chunk = chunks[number]
    previous: int | None = None
    if chunk.first_frame:
        first = int(chunk.pts[0])
        earlier = [int(before.pts[-1]) for before in chunks[:number] if len(before.pts) and before.pts[-1] < first]
        previous = max(earlier, default=first - 1)
    return Span(first_frame=chunk.first_frame, pts=chunk.pts, overlap=chunk.overlap, origin_pts=origin_pts, previous_pts=previous)


def _check(pipeline: Pipeline, camera: str, errors: list[BaseException], stuck: list[str]) -> None:
    """Raise if not all frames came to the end, but for those that the recording lacks."""
    if pipeline.fatal.first is not None:
        where, error = pipeline.fatal.first
        raise error if isinstance(error, FerstreamError) else AttemptError(f"{where} failed: {first_line(error)}")
    if stuck:
        raise AttemptError(f"threads did not end: {', '.join(stuck)}")
    dropped = pipeline.counters.snapshot().dropped
    lost = {key: count for key, count in dropped.items() if key[0] == camera and key[1:] != _DAMAGED and count}
    if lost or errors:
        where = ", ".join(f"{count} frames lost in {stage}: {why}" for (_, stage, why), count in lost.items())
        raise AttemptError(first_line(errors[0]) if errors else where)
