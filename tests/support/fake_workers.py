"""Planned archives with invented contents, and workers that make results of them in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from ferstream.archive.chunk_file import ChunkResult, FaceTable, FrameTable, encode_result, result_name
from ferstream.archive.plan import PLAN, WHOLE, Chunk, Plan, PlannedRecording, chunks_name, decode_chunks, encode_chunks, encode_plan
from ferstream.archive.storage.store import Store
from ferstream.archive.tasks import Died, Differs, Done, Failed, Finished, Ready, Report, Task

FRAMES = 5
"""Pictures of an invented chunk; one face in each."""
MACHINE = {"cpu": "avx2", "numpy": "2"}

Answer = Done | Differs | Failed | str | None
"""An outcome, how the worker dies (a text), or None: done."""


def planned(store: Store, chunks: list[int], **fields: object) -> Plan:
    """Write the plan of an archive: a recording for each number of chunks; 0 for one that is not divided."""
    recordings = []
    for number, count in enumerate(chunks):
        recordings.append(_recording(number, count))
        if count:
            store.write(chunks_name(number), encode_chunks(tuple(_chunk(item, count) for item in range(count))))
    plan = replace(Plan(recordings=tuple(recordings), machine=MACHINE), **fields)  # type: ignore[arg-type]
    store.write(PLAN, encode_plan(plan))
    return plan


def _recording(number: int, chunks: int) -> PlannedRecording:
    return PlannedRecording(
        number=number,
        path=f"/videos/{number}.mp4",
        source=f"{number}.mp4",
        camera=f"{number}",
        size=1,
        head="",
        utc_origin_ns=0,
        frames=FRAMES * max(1, chunks),
        duration_s=FRAMES * max(1, chunks) / 25,
        chunks=max(1, chunks),
        undivided="" if chunks else "is a transport stream",
    )


def _chunk(number: int, count: int) -> Chunk:
    pts = np.arange(number * FRAMES, (number + 1) * FRAMES, dtype=np.int64)
    overlap = pts[-1:] + 1 if number + 1 < count else pts[:0]
    return Chunk(number=number, first_frame=number * FRAMES, pts=pts, overlap=overlap)


def invented_result(task: Task, frames: int = FRAMES, *, is_last: bool = True, lost: int = 0, score: float = 0.5) -> ChunkResult:
    """Return a result with one face in each frame; unless it is the last chunk, with the first frame of the next one.

    Args:
        task: Its chunk, all of which have as many pictures.
        frames: Number of its pictures.
        is_last: Whether it is the last chunk of its recording.
        lost: Frames that were lost.
        score: Score of the faces.
    """
    overlap = 0 if is_last else 1
    first = max(0, task.chunk) * frames
    index = np.arange(first, first + frames + overlap, dtype=np.int64)
    ones = np.ones(len(index), np.int32)
    digests = [f"{task.recording:08x}{number:08x}" for number in range(first, first + frames + 3)]
    return ChunkResult(
        recording=task.recording,
        chunk=task.chunk,
        frames=FrameTable(index=index, media_time_ns=index * 40, width=ones, height=ones, cut=ones < 0, faces=ones),
        faces=FaceTable(
            box=np.zeros((len(index), 4)),
            score=np.full(len(index), score),
            landmarks=np.zeros((len(index), 10)),
            abstained=np.zeros(len(index), np.uint8),
            classified=np.zeros(len(index), bool),
            probabilities=np.zeros((len(index), 7), np.float32),
        ),
        overlap=overlap,
        decoded=frames,
        lost=lost,
        head=tuple(digests[:3]),
        tail=() if is_last else tuple(digests[frames:]),
    )


def store_result(store: Store, result: ChunkResult) -> Done:
    """Write a result, as a worker does."""
    name = result_name(result)
    store.write(name, encode_result(result))
    return Done(name, result.decoded, int(result.frames.faces.sum()) - result.overlap, result.lost, 0.5)


def is_last(store: Store, task: Task) -> bool:
    """Return whether nothing follows a chunk."""
    if task.is_whole:
        return True
    name = chunks_name(task.recording)
    return decode_chunks(store.read(name), name)[-1].number == task.chunk


class FakeWorkers:
    """Workers that end a task as soon as it is waited for them."""

    def __init__(
        self,
        store: Store,
        count: int = 2,
        *,
        answer: Callable[[Task, int], Answer] = lambda task, attempt: None,
        machine: Callable[[int], dict[str, str]] = lambda worker: MACHINE,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is started yet.

        Args:
            store: Where results go.
            count: Number of workers.
            answer: Called with a task and the number of its attempt, from 0.
            machine: The machine of a worker.
            on_wait: Called whenever reports are waited for.
        """
        self._store, self._count, self._answer, self._machine, self._on_wait = store, count, answer, machine, on_wait
        self._reports: list[Report] = []
        self.tasks: list[Task] = []
        """Every task that was given, in order."""
        self.is_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.is_ended = True

    @property
    def count(self) -> int:
        return self._count

    def start(self, worker: int) -> None:
        self._reports.append(Ready(worker, self._machine(worker), f"host-{worker}"))

    def submit(self, worker: int, task: Task) -> None:
        answer = self._answer(task, self.tasks.count(task))
        self.tasks.append(task)
        if answer is None:
            answer = store_result(self._store, invented_result(task, is_last=is_last(self._store, task)))
        if isinstance(answer, str):
            self._reports.append(Died(worker, answer, is_crash="crash" in answer))
        else:
            self._reports.append(Finished(worker, task, answer))

    def stop(self, worker: int) -> None:
        self._reports = [report for report in self._reports if report.worker != worker]

    def wait(self, timeout_s: float) -> list[Report]:
        self._on_wait()
        reports, self._reports = self._reports, []
        return reports


__all__ = ["FRAMES", "MACHINE", "WHOLE", "FakeWorkers", "invented_result", "planned", "store_result"]
