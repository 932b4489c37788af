"""One uploaded recording: its files, the worker process that analyses it, and what came of it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

import structlog

from ferstream.errors import OutputError, WorkerError
from ferstream.web.scratch import Scratch
from ferstream.web.worker import Worker
from ferstream.web.worker_protocol import Json

VIDEO, EVENTS, TIMELINE = "video", "events.jsonl", "timeline.json"
TABLE_FILES = {"csv": "events.csv", "parquet": "events.parquet"}
"""File of each kind of table."""

_LOG = structlog.get_logger(__name__)


class RecordingStatus(StrEnum):
    """What happens to a recording."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTimings:
    """Time limits of one recording, in seconds.

    Attributes:
        start_s: Longest time until the first frame was analysed.
        stall_s: Longest time between two frames.
        total_s: Longest time for the whole recording.
        keep_s: The results are deleted so long after the end.
        poll_s: Interval at which the free space is checked.
    """

    start_s: float = 300.0
    stall_s: float = 60.0
    total_s: float = 6 * 3600.0
    keep_s: float = 3600.0
    poll_s: float = 2.0


class Recording:
    """One recording on its way from an upload to its results. Any thread may read; its own thread changes it."""

    def __init__(self, name: str, scratch: Scratch, *, tables: Sequence[str], timings: RecordingTimings) -> None:
        """Make the file that takes the upload.

        Args:
            name: Name of the uploaded file, without folders.
            scratch: Where its files are.
            tables: Kinds of tables to make: ``csv``, ``parquet``.
            timings: Time limits.

        Raises:
            OutputError: The scratch folder cannot be used.
        """
        self.id, self.name = secrets.token_hex(8), name
        self._scratch, self._timings, self._tables = scratch, timings, tuple(tables)
        self._lock = threading.Lock()
        self._status, self._error = RecordingStatus.RUNNING, ""
        self._frames, self._total, self._lost = 0, 0, 0
        self._worker: Worker | None = None
        self._deleted = threading.Event()
        self._thread: threading.Thread | None = None
        self._files: dict[str, BinaryIO] = {VIDEO: scratch.new_file()}

    def write(self, data: bytes) -> None:
        """Add bytes of the upload, before ``start``.

        Raises:
            OutputError: They cannot be written, or the recording was deleted.
        """
        with self._lock:
            file = self._files.get(VIDEO)
        if file is None:
            raise OutputError("the recording was deleted")
        view, written = memoryview(data), 0
        try:
            while written < len(data):
                written += file.write(view[written:])
        except (OSError, ValueError) as exc:  # ValueError: it was closed meanwhile
            raise OutputError(f"the upload cannot be stored: {getattr(exc, 'strerror', None) or exc}") from exc

    @property
    def is_running(self) -> bool:
        """Whether it is still analysed."""
        return self._status is RecordingStatus.RUNNING

    def as_json(self) -> Json:
        """Return its state, as the API shows it."""
        with self._lock:
            done = self._status is RecordingStatus.DONE
            share = 1.0 if done else min(0.999, self._frames / self._total) if self._total else 0.0
            return {
                "id": self.id,
                "name": self.name,
                "state": self._status.value,
                "progress": round(share, 3),
                "frames": self._frames,
                "lost": self._lost,
                "error": self._error,
                "tables": list(self._tables),
            }

    def start(self, new_worker: Callable[[], Worker], on_expired: Callable[[Recording], object]) -> None:
        """Start the analysis in a thread of its own.

        Args:
            new_worker: Starts a worker process.
            on_expired: Called by that thread when the results are too old.
        """
        self._thread = threading.Thread(target=self._run, args=(new_worker, on_expired), name="recording", daemon=True)
        self._thread.start()

    def open_result(self, file: str) -> int | None:
        """Return a new descriptor of a result, which the caller closes; None if there is none."""
        with self._lock:
            found = self._result(file)
            return None if found is None else os.dup(found.fileno())

    def result_bytes(self, file: str) -> int | None:
        """Return the size of a result; None if there is none."""
        with self._lock:
            found = self._result(file)
            return None if found is None else os.fstat(found.fileno()).st_size

    def cancel(self) -> None:
        """End the analysis at once; its state becomes ``cancelled``."""
        with self._lock:
            if self._status is RecordingStatus.RUNNING:
                self._status = RecordingStatus.CANCELLED
            if self._worker is not None:
                self._worker.kill()

    def delete(self, timeout_s: float = 15.0) -> None:
        """Cancel and delete everything; more than once. Waits for its thread, unless that is the caller."""
        self.cancel()
        self._deleted.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        self._close_files(list(self._files))

    # -- its own thread ----------------------------------------------------------------------------

    def _run(self, new_worker: Callable[[], Worker], on_expired: Callable[[Recording], object]) -> None:
        try:
            self._analyse(new_worker)
        except Exception as exc:  # noqa: BLE001 (thread boundary: the state of the recording says it)
            self._end(RecordingStatus.FAILED, str(exc))
        finally:
            self._close_files([VIDEO])
        if not self._deleted.wait(self._timings.keep_s):
            on_expired(self)

    def _analyse(self, new_worker: Callable[[], Worker]) -> None:
        names = [VIDEO, EVENTS, TIMELINE, *(TABLE_FILES[kind] for kind in self._tables)]
        with self._lock:
            if self._status is not RecordingStatus.RUNNING:
                return
            self._files |= {name: self._scratch.new_file() for name in names[1:]}
            worker = self._worker = new_worker()
        try:
            message = {"do": "recording", "name": self.name, "tables": list(self._tables)}
            worker.send(message, [self._files[name].fileno() for name in names])
            self._follow(worker)
        finally:
            worker.close()

    def _follow(self, worker: Worker) -> None:
        """Take the worker's reports until it is done.

        Raises:
            WorkerError: It ended, hangs, or works for too long.
            OutputError: The disk is nearly full.
        """
        now = space_checked = time.monotonic()
        ends, frames, limit_s, since = now + self._timings.total_s, 0, self._timings.start_s, now
        while True:
            report = self._receive(worker, since, limit_s, ends)
            if self._take(report):
                return
            now = time.monotonic()
            if self._frames > frames:
                frames, limit_s, since = self._frames, self._timings.stall_s, now
            if now >= space_checked + self._timings.poll_s:
                self._scratch.check_space()
                space_checked = now

    def _receive(self, worker: Worker, since: float, limit_s: float, ends: float) -> Json:
        """Wait for the next report; a worker that reports too late, or no progress, is at its end.

        Args:
            worker: The worker.
            since: Monotonic time in seconds of the last progress.
            limit_s: Longest time since then.
            ends: Monotonic time at which the analysis ends in any case.
        """
        last = min(since + limit_s, ends)
        report = None
        try:
            report = worker.receive(max(0.01, last - time.monotonic()))
        except WorkerError:
            if time.monotonic() < last:
                raise
        if report is not None and (time.monotonic() < last or not {"done", "error"}.isdisjoint(report)):
            return report
        if last == ends:
            raise WorkerError(f"the analysis was ended after {self._timings.total_s:g} s; cut the recording into parts")
        raise WorkerError(f"no frame was analysed for {limit_s:g} s; the recording may be damaged")

    def _take(self, report: Json) -> bool:
        """Take one report of the worker; return whether it was the last."""
        with self._lock:
            self._frames, self._total = report.get("frames", self._frames), report.get("total") or self._total
            self._lost = report.get("lost", self._lost)
        if "error" in report:
            self._end(RecordingStatus.FAILED, report["error"])
            return True
        if report.get("done"):
            self._end(RecordingStatus.DONE)
            return True
        return False

    def _end(self, status: RecordingStatus, error: str = "") -> None:
        with self._lock:
            if self._status is not RecordingStatus.RUNNING:
                return  # cancelled
            self._status, self._error = status, error
        if status is RecordingStatus.FAILED:
            # Without the text, which may have the name of the file in it.
            _LOG.warning("an uploaded recording could not be analysed", recording=self.id)

    def _result(self, file: str) -> BinaryIO | None:
        return self._files.get(file) if self._status is RecordingStatus.DONE and file != VIDEO else None

    def _close_files(self, names: Sequence[str]) -> None:
        with self._lock:
            closed = [self._files.pop(name) for name in names if name in self._files]
        for file in closed:
            file.close()
