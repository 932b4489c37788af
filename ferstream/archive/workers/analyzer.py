"""Analyses the chunks of an archive, one after the other, with models that are loaded once; every worker has one. One thread."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from ferstream.app.factories import MOST_WORKERS, detection_plan, inference_plan
from ferstream.app.pictures import picture_options
from ferstream.app.privacy import camera_of_recording, masks_of_recording
from ferstream.archive.chunk_file import ChunkResult, encode_result, result_name
from ferstream.archive.plan import WHOLE, Chunk, Plan, PlannedRecording, chunks_name, decode_chunks
from ferstream.archive.plan_file import settings_of
from ferstream.archive.planning.examine import fingerprint
from ferstream.archive.storage.sources import SourceCache
from ferstream.archive.storage.store import Store
from ferstream.archive.tasks import Differs, Done, Failed, Outcome, Task
from ferstream.archive.workers.chunk_pipeline import CAMERA, ChunkPipeline, UpToOverlap
from ferstream.archive.workers.recorder import ChunkFacts
from ferstream.capture.geometry import AS_THE_SOURCE_SAYS
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.capture.span import Span, SpanError, SpanSource
from ferstream.errors import (
    ConfigError,
    FerstreamError,
    FramesLostError,
    OutputError,
    ShutdownError,
    SourceError,
    SourceFormatError,
    first_line,
)
from ferstream.pipeline.models import DetectionPlan, Models
from ferstream.runtime.counters import Counters, Snapshot
from ferstream.runtime.redaction import redact
from ferstream.settings import Settings

_DAMAGED = ("decode", "damaged")
"""Stage and reason of the only frames that may be lost."""


class _ChangedError(FerstreamError):
    """A recording is gone, or not the one that was planned."""


class Analyzer:
    """Analyses chunks and writes their results. A context, which frees the models."""

    def __init__(self, store: Store, plan: Plan, *, cores: int | None = None, scratch: Path | None = None) -> None:
        """Load the models.

        Args:
            store: The archive.
            plan: Its plan.
            cores: Number of cores that this worker may keep busy; None for those that a ``replay`` would use. Results do not depend on it.
            scratch: Where recordings that are objects of a store are fetched to; None for the system's folder for temporary files.

        Raises:
            ConfigError: The settings of the plan are not those of this version.
            ModelError: A model cannot be used.
        """
        self._store, self._plan = store, plan
        settings, camera = settings_of(plan), plan.options.get("camera")
        self._models = Models(detection=_detection(settings, cores), inference=inference_plan(settings, deterministic=True))
        self._models.set_masks(CAMERA, masks_of_recording(settings, camera))
        self._pipeline = ChunkPipeline(settings, self._models)
        made_by = camera_of_recording(settings, camera)
        self._options = FrameOptions(
            width=settings.detection.width,
            analysis_fps=float(plan.options.get("fps") or 0.0),
            picture=AS_THE_SOURCE_SAYS if made_by is None else picture_options(made_by),
        )
        self._cache = SourceCache(scratch)
        self._chunks: tuple[int, tuple[Chunk, ...]] = (-1, ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the models, and remove what was fetched."""
        self._cache.close()
        self._models.close()

    def analyze(self, task: Task) -> Outcome:
        """Analyse a chunk and write its result.

        Args:
            task: The chunk.

        Returns:
            What came of it; nothing is left in the archive unless it is ``Done``.

        Raises:
            ShutdownError: A thread hangs: the process must end.
        """
        started = time.perf_counter()
        try:
            result = self._result(task)
        except ShutdownError:
            raise
        except SpanError as exc:
            return Differs(_text(exc))
        except (_ChangedError, SourceFormatError) as exc:
            return Failed(_text(exc), is_final=True)
        except ConfigError as exc:
            return Failed(_text(exc), stops_all=True)
        except MemoryError:
            return Failed("there is not enough memory")
        except (FerstreamError, OSError) as exc:
            return Failed(_text(exc))
        return self._written(result, started)

    def _written(self, result: ChunkResult, started: float) -> Outcome:
        name = result_name(result)
        try:
            self._store.write(name, encode_result(result))
        except OutputError as exc:
            return Failed(_text(exc), stops_all=True)
        except MemoryError:
            return Failed("there is not enough memory")
        own = len(result.frames.index) - result.overlap
        faces = int(result.frames.faces[:own].sum())
        return Done(name, result.decoded, faces, result.lost, time.perf_counter() - started)

    def _result(self, task: Task) -> ChunkResult:
        recording = self._plan.recordings[task.recording]
        try:
            file = self._cache.fetch(recording.path)
        except SourceError as exc:
            raise _ChangedError(str(exc)) from exc
        _check_same(recording, file)
        result = self._whole(recording, file) if task.chunk == WHOLE else self._divided(recording, file, task.chunk)
        _check_same(recording, file)
        return result

    def _whole(self, recording: PlannedRecording, file: Path) -> ChunkResult:
        """Read a whole recording as ``replay`` does."""
        counters = Counters()
        source = FileSource(path=file, camera=CAMERA, observer=counters, options=self._options)
        recorder, counts = self._pipeline.run(source, counters)
        lost = _lost(counts, allowed=_DAMAGED)
        return recorder.result(
            ChunkFacts(recording=recording.number, chunk=WHOLE, end=None, decoded=counts.frames.get((CAMERA, "decode"), 0), lost=lost)
        )

    def _divided(self, recording: PlannedRecording, file: Path, number: int) -> ChunkResult:
        """Read one chunk and what it has in common with the next one."""
        chunk, previous_pts = self._chunk(recording.number, number)
        counters = Counters()
        end = chunk.first_frame + chunk.frames
        span = Span(
            first_frame=chunk.first_frame,
            pts=chunk.pts,
            overlap=chunk.overlap,
            origin_pts=recording.origin_pts,
            previous_pts=previous_pts,
        )
        source = SpanSource(path=file, camera=CAMERA, span=span, observer=counters, options=self._options)
        recorder, counts = self._pipeline.run(UpToOverlap(source, end=end), counters)
        _lost(counts, allowed=None)
        return recorder.result(
            ChunkFacts(recording=recording.number, chunk=number, end=end, decoded=chunk.frames, lost=0, head=source.head, tail=source.tail)
        )

    def _chunk(self, recording: int, number: int) -> tuple[Chunk, int | None]:
        """Return a chunk, and the timestamp of the picture before it, which the first one has not.

        Raises:
            ConfigError: The plan does not have it.
        """
        if self._chunks[0] != recording:  # those of one recording are kept, because a worker gets one after the other
            name = chunks_name(recording)
            try:
                self._chunks = recording, decode_chunks(self._store.read(name), name)
            except FileNotFoundError:
                raise ConfigError(f"{name}: is missing; plan the archive again") from None
        chunk = next((chunk for chunk in self._chunks[1] if chunk.number == number), None)
        if chunk is None or not chunk.frames:
            raise ConfigError(f"{chunks_name(recording)}: has no chunk {number}; plan the archive again")
        if not chunk.first_frame:
            return chunk, None
        before = (other for other in self._chunks[1] if other.first_frame + other.frames == chunk.first_frame)
        # A piece that is measured for an estimate has no chunk before it.
        return chunk, next((int(other.pts[-1]) for other in before), int(chunk.pts[0]) - 1)


def _detection(settings: Settings, cores: int | None) -> DetectionPlan:
    """Return how faces are found, with no more threads than there are cores for this worker."""
    plan = detection_plan(settings)
    wanted = settings.detection.workers or MOST_WORKERS
    return plan if cores is None else replace(plan, workers=max(1, min(wanted, cores)))


def _check_same(recording: PlannedRecording, file: Path) -> None:
    """Check that a recording is the one that was planned.

    Raises:
        _ChangedError: It is not.
    """
    try:
        found = fingerprint(file)
    except FerstreamError as exc:
        raise _ChangedError(str(exc)) from exc
    if found.size != recording.size:
        raise _ChangedError(f"{recording.path}: has changed since it was planned: it has {found.size} bytes, and had {recording.size}")
    if found.head != recording.head:
        raise _ChangedError(f"{recording.path}: has changed since it was planned: its beginning is another one")


def _lost(counts: Snapshot, *, allowed: tuple[str, str] | None) -> int:
    """Return how many frames were lost in the way that is allowed.

    Args:
        counts: The counts of a chunk.
        allowed: Stage and reason; None if no frame may be lost.

    Raises:
        FramesLostError: A frame was lost in another way.
    """
    lost = {(stage, reason): number for (_, stage, reason), number in counts.dropped.items() if number}
    number = 0 if allowed is None else lost.pop(allowed, 0)
    if lost:
        ways = ", ".join(f"{count} in {stage} ({reason})" for (stage, reason), count in sorted(lost.items()))
        raise FramesLostError(f"frames were lost: {ways}")
    return number


def _text(error: BaseException) -> str:
    return redact(first_line(error))
