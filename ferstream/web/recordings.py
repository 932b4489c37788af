"""The uploaded recordings: one at a time. The event loop of the HTTP server calls it; an analysis has a thread and a process of its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence

from ferstream.errors import OutputError
from ferstream.runtime.printable import printable
from ferstream.web.api_error import ApiError
from ferstream.web.recording import Recording, RecordingTimings
from ferstream.web.scratch import Scratch
from ferstream.web.worker import Worker

MAX_NAME_CHARS = 120
_STOPPING = "the node is stopping"
_BUSY = "another recording is {}; wait for its end, or cancel it"


class Recordings:
    """Keeps the one recording that is uploaded, analysed, or whose results are kept."""

    def __init__(
        self,
        scratch: Scratch,
        new_worker: Callable[[], Worker],
        *,
        tables: Sequence[str] = (),
        timings: RecordingTimings | None = None,
    ) -> None:
        """Delete what a killed process left.

        Args:
            scratch: Where the files are.
            new_worker: Starts a worker process.
            tables: Kinds of tables that are made.
            timings: Time limits.
        """
        self._scratch, self._new_worker = scratch, new_worker
        self.tables, self._timings = tuple(tables), timings or RecordingTimings()
        self._lock = threading.Lock()
        self._kept: Recording | None = None
        self._incoming: Recording | None = None
        self._uploading = False
        self._closed = False
        scratch.remove_leftovers()

    def all(self) -> list[Recording]:
        """Return what there is: no recording, or one."""
        kept = self._kept
        return [] if kept is None else [kept]

    def find(self, wanted: str) -> Recording:
        """Return the recording with that id.

        Raises:
            ApiError: There is none (404).
        """
        for recording in self.all():
            if recording.id == wanted:
                return recording
        raise ApiError(404, "there is no recording with this id; its results may have been deleted")

    def begin(self, name: str, length: int) -> Recording:
        """Begin an upload; the results of the recording before are deleted.

        Args:
            name: Name of the file, as the client says it.
            length: Bytes that are announced; 0 if unknown.

        Raises:
            ApiError: Another one is uploaded or analysed (409), or there is no room for it (507).
        """
        with self._lock:
            if self._closed:
                raise ApiError(503, _STOPPING)
            if self._uploading:
                raise ApiError(409, _BUSY.format("being uploaded"))
            if self._kept is not None and self._kept.is_running:
                raise ApiError(409, _BUSY.format("being analysed"))
            kept, self._kept, self._uploading = self._kept, None, True
        try:
            if kept is not None:
                kept.delete()
            self._scratch.check_space(length)
            recording = Recording(shown_name(name), self._scratch, tables=self.tables, timings=self._timings)
        except BaseException as exc:
            self._uploading = False
            if isinstance(exc, OutputError):
                raise ApiError(507, str(exc), {"connection": "close"}) from exc
            raise
        with self._lock:
            self._incoming = recording
        return recording

    def check_space(self) -> None:
        """Check the free space during an upload.

        Raises:
            ApiError: There is too little (507).
        """
        try:
            self._scratch.check_space()
        except OutputError as exc:
            raise ApiError(507, str(exc)) from exc

    def analyse(self, recording: Recording) -> None:
        """Start the analysis of a recording whose upload is complete.

        Raises:
            ApiError: The node is stopping (503).
        """
        with self._lock:
            self._incoming, self._uploading = None, False
            if not self._closed:
                self._kept = recording
                recording.start(self._new_worker, self._expire)
                return
        recording.delete()
        raise ApiError(503, _STOPPING)

    def abandon(self, recording: Recording) -> None:
        """Delete a recording whose upload did not complete."""
        recording.delete()
        with self._lock:
            self._incoming, self._uploading = None, False

    def delete(self, recording: Recording) -> None:
        """Cancel a recording and delete it."""
        with self._lock:
            if self._kept is recording:
                self._kept = None
        recording.delete()

    def close(self) -> None:
        """Cancel and delete everything; later uploads are refused."""
        with self._lock:
            self._closed = True
            recordings = [recording for recording in (self._kept, self._incoming) if recording is not None]
            self._kept = self._incoming = None
        for recording in recordings:
            recording.delete()

    def _expire(self, recording: Recording) -> None:
        self.delete(recording)


def shown_name(name: str) -> str:
    """Return the name of an uploaded file without folders, on one line, at most 120 characters. It is shown and never opened."""
    last = re.split(r"[/\\]", name)[-1].strip()
    text = printable(last)[-MAX_NAME_CHARS:]
    return text if text.strip(". ") else "recording"
