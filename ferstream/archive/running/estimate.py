"""What the rest of an archive will cost: from a short piece that is measured on this machine, and from the rates of earlier runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ferstream.archive.plan import PLAN, Chunk, Plan, PlannedRecording, chunks_name, decode_chunks, encode_chunks, encode_plan
from ferstream.archive.running.report import Earlier, read_earlier
from ferstream.archive.running.unfinished import Unfinished, planned_frames
from ferstream.archive.storage.store import LocalStore, Store
from ferstream.archive.tasks import Done, Outcome, Task

WARM_FRAMES = 25
"""Pictures that are analysed before the measurement: the first ones are slow."""
FRAMES = 250
"""Pictures that are measured."""
OVERLAP = 300
"""Pictures behind them that the plan of the piece names, among which the next analysed one is."""
FILE_BYTES = 4000
"""Bytes of a result without frames."""
FACE_BYTES = 60
"""Bytes of a face in the Parquet files of the merge."""


class Analyzes(Protocol):
    """Analyses chunks; see ``analyzer.Analyzer``."""

    def analyze(self, task: Task) -> Outcome:
        """Analyse a chunk and write its result."""
        ...


class MakeAnalyzer(Protocol):
    """Makes an analyzer with its models loaded."""

    def __call__(self, store: Store, plan: Plan, /) -> AbstractContextManager[Analyzes]:
        """Return the analyzer of an archive."""
        ...


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left to do.

    Attributes:
        recordings: Recordings that are not analysed.
        all_recordings: Recordings of the plan.
        undivided: Recordings among the first that are read by one worker each.
        chunks: Chunks of the recordings that are not analysed.
        frames: Their pictures, without those whose results are there.
        seconds: Media time of these pictures.
        longest_s: Media time of the longest piece that one worker reads.
    """

    recordings: int
    all_recordings: int
    undivided: int
    chunks: int
    frames: int
    seconds: float
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a short piece took.

    Attributes:
        source: Name of its recording.
        frames: Its pictures.
        faces: Faces that were found in it.
        seconds: How long it took.
        core_seconds: CPU time of all threads.
        size: Bytes of its result.
    """

    source: str
    frames: int
    faces: int
    seconds: float
    core_seconds: float
    size: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the rest of an archive will cost.

    Attributes:
        remaining: What is left to do.
        measured: What a short piece took on this machine; None if none could be measured.
        earlier: What earlier runs reported.
    """

    remaining: Remaining
    measured: Measured | None
    earlier: Earlier

    @property
    def frames_per_s(self) -> float:
        """Rate of one worker, that of earlier runs if there were any; 0 if unknown."""
        if self.earlier.rate or self.measured is None:
            return self.earlier.rate
        return self.measured.frames / self.measured.seconds

    @property
    def core_hours(self) -> float | None:
        """CPU time of all that is left, in hours; None if nothing was measured."""
        if self.measured is None:
            return None
        return self.remaining.frames * self.measured.core_seconds / self.measured.frames / 3600

    @property
    def result_bytes(self) -> float | None:
        """Bytes of the results of workers; None if unknown."""
        if self.earlier.frames:
            return self.remaining.frames * self.earlier.size / self.earlier.frames
        if self.measured is None:
            return None
        of_a_frame = max(0, self.measured.size - FILE_BYTES) / self.measured.frames
        return self.remaining.frames * of_a_frame + self.remaining.chunks * FILE_BYTES

    @property
    def dataset_bytes(self) -> float | None:
        """Bytes of the Parquet files of the merge; None if nothing was measured."""
        return None if self.measured is None else self.remaining.frames * self.measured.faces / self.measured.frames * FACE_BYTES

    def seconds(self, workers: int, cores: int | None = None) -> float | None:
        """Return how long so many workers need; None if the rate is unknown.

        Args:
            workers: Number of workers.
            cores: Cores that they share; None for cores enough.
        """
        if not self.frames_per_s:
            return None
        shared = 0.0 if cores is None or self.core_hours is None else self.core_hours * 3600 / cores
        share = self.remaining.longest_s / self.remaining.seconds if self.remaining.seconds else 0.0
        alone = self.remaining.frames / self.frames_per_s
        return max(alone / workers, shared, alone * share)


def estimate(store: Store, plan: Plan, make_analyzer: MakeAnalyzer, *, mixed: bool = False) -> Estimate:
    """Estimate what is left; analyses a few seconds of a recording on this machine, and writes nothing into the archive.

    Args:
        store: The archive.
        plan: Its plan.
        make_analyzer: Makes what analyses the piece.
        mixed: Whether two results of a chunk may differ.

    Raises:
        FerstreamError: The archive cannot be read, or the models cannot be loaded.
    """
    unfinished = Unfinished(store, plan, on_done=lambda recording, done: None, mixed=mixed)
    remaining = remaining_of(unfinished, plan)
    measured = measure(store, plan, unfinished.recordings, make_analyzer) if remaining.frames else None
    return Estimate(remaining, measured, read_earlier(store))


def remaining_of(unfinished: Unfinished, plan: Plan) -> Remaining:
    """Return what is left to do."""
    chunks = frames = undivided = 0
    seconds = longest = 0.0
    recordings = {recording.number: recording for recording in unfinished.recordings}
    for work in unfinished.works():
        recording = recordings[work.number]
        left = sum(count for chunk, count in work.frames.items() if chunk not in work.results)
        frame_s = recording.duration_s / max(1, planned_frames(recording))
        chunks += len(work.frames.keys() - work.results.keys())
        frames += left
        undivided += not recording.is_divided
        seconds += left * frame_s
        longest = max(longest, max(work.frames.values(), default=0) * frame_s)
    return Remaining(len(recordings), len(plan.recordings), undivided, chunks, frames, seconds, longest)


def measure(store: Store, plan: Plan, recordings: Iterable[PlannedRecording], make_analyzer: MakeAnalyzer) -> Measured | None:
    """Analyse a short piece from the middle of the longest recording that is divided; None if there is none, or it cannot be read."""
    recording = max((item for item in recordings if item.is_divided), key=lambda item: item.duration_s, default=None)
    if recording is None:
        return None
    name = chunks_name(recording.number)
    chunks = decode_chunks(store.read(name), name)
    chunk = chunks[len(chunks) // 2]
    with tempfile.TemporaryDirectory(prefix="ferstream-archive-") as folder:
        scratch = LocalStore(Path(folder))
        piece = replace(plan, recordings=(replace(recording, number=0, chunks=2),), left_out=())
        scratch.write(PLAN, encode_plan(piece))
        scratch.write(chunks_name(0), encode_chunks((shortened(chunk, 0, WARM_FRAMES), shortened(chunk, 1, FRAMES))))
        with make_analyzer(scratch, piece) as analyzer:
            analyzer.analyze(Task(0, 0))
            before = os.times()
            outcome = analyzer.analyze(Task(0, 1))
            after = os.times()
        if not isinstance(outcome, Done) or not outcome.frames:
            return None
        return Measured(
            source=recording.source,
            frames=outcome.frames,
            faces=outcome.faces,
            seconds=after.elapsed - before.elapsed,
            core_seconds=after.user + after.system - before.user - before.system,
            size=len(scratch.read(outcome.file)),
        )


def shortened(chunk: Chunk, number: int, frames: int) -> Chunk:
    """Return the beginning of a chunk as a chunk of its own; all of it if it is not much longer.

    Args:
        chunk: The chunk.
        number: Number of the new one.
        frames: Number of pictures.
    """
    if chunk.frames <= frames + OVERLAP:
        return replace(chunk, number=number)
    return replace(chunk, number=number, pts=chunk.pts[:frames], overlap=chunk.pts[frames : frames + OVERLAP])
