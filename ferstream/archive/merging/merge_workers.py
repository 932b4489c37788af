"""Processes that merge recordings side by side.

Each takes the number of a recording from its pipe. It sends back how many pictures are merged, now and then, and the result at the end.
A process ends at once when its parent does, also in the middle of a recording: two merges never write the same file.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.abc import MetaPathFinder
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ferstream.archive.merging.recording_merge import Merged, MergeJob
from ferstream.errors import FerstreamError


def merged_by_processes(job: MergeJob, workers: int) -> Iterator[Merged]:
    """Merge all recordings of a plan; yield the results in the order in which they come.

    Args:
        job: What to do.
        workers: Number of processes.

    Raises:
        FerstreamError: The first error of a process, or the end of one; the others are ended.
    """
    recordings = job.plan.recordings
    # The longest first: begun late, it would be waited for.
    numbers = iter(sorted(range(len(recordings)), key=lambda number: recordings[number].frames, reverse=True))
    busy: dict[_Process, int] = {}
    with ExitStack() as stack:
        stack.callback(lambda: job.remove_parts(busy.values()))  # after the processes are ended
        busy |= {stack.enter_context(_Process(job)): number for _, number in zip(range(workers), numbers, strict=False)}
        for process, number in busy.items():
            process.start(number)
        while busy:
            for connection in wait([process.connection for process in busy]):
                process = next(process for process in busy if process.connection is connection)
                answer = process.receive(recordings[busy[process]].source)
                if isinstance(answer, int):
                    job.on_frames(busy[process], answer)
                    continue
                del busy[process]
                number_or_none = next(numbers, None)
                if number_or_none is not None:
                    busy[process] = number_or_none
                    process.start(number_or_none)
                yield answer


class _Process:
    """One process and the pipe to it; a context that ends it."""

    def __init__(self, job: MergeJob) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, self._theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_merge_all, args=(job, self._theirs), daemon=True)

    def __enter__(self) -> _Process:
        self._process.start()
        self._theirs.close()  # else the end of the process would not be seen
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()

    def start(self, number: int) -> None:
        """Have it merge a recording; if it has ended, ``receive`` finds that out."""
        with contextlib.suppress(OSError):
            self.connection.send(number)

    def receive(self, source: str) -> int | Merged:
        """Return how many pictures of its recording are merged, or the result; waits for either.

        Args:
            source: Name of the recording, for messages.

        Raises:
            FerstreamError: It failed, or the process ended.
        """
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise FerstreamError(
                f"the process that merged {source} ended (exit code {self._process.exitcode}); the same command goes on"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, int | Merged)
        return answer


class _NoPandas(MetaPathFinder):
    """Hides pandas: where it is installed, pyarrow loads it to look whether values are of it, which takes a second and 40 MB."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse pandas; leave all else to others."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not used", name=fullname)


def _merge_all(job: MergeJob, connection: Connection) -> None:
    """Merge recordings until the parent ends; the program of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the parent ends this one
    sys.meta_path.insert(0, _NoPandas())
    numbers: list[int] = []
    is_given = threading.Semaphore(0)

    def receive() -> None:
        try:
            while True:
                numbers.append(connection.recv())
                is_given.release()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=receive, name="merge-parent", daemon=True).start()
    job.on_frames = lambda number, frames: connection.send(frames)
    while True:
        is_given.acquire()
        answer: Merged | Exception
        try:
            answer = job.merge(numbers.pop())
        except Exception as exc:  # noqa: BLE001 (the end of the process: the parent raises it)
            answer = exc if isinstance(exc, FerstreamError) else FerstreamError(f"merging failed: {type(exc).__name__}: {exc}")
        connection.send(answer)
