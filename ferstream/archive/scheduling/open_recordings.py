"""The recordings that are worked at, opened one after the other. Used by the scheduler only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ferstream.archive.scheduling.actions import RecordingWork
from ferstream.archive.scheduling.open_recording import OpenRecording


class OpenRecordings:
    """Takes recordings from an iterator when there is room for them, and forgets them when they are closed."""

    def __init__(self, recordings: Iterable[RecordingWork], most: int) -> None:
        """Nothing is read yet.

        Args:
            recordings: What is to be done, in the order in which it is begun.
            most: Most recordings that are open at a time.
        """
        self._coming, self._most = iter(recordings), most
        self._open: dict[int, OpenRecording] = {}
        self._with_waiting: dict[int, OpenRecording] = {}
        self.is_exhausted = False
        """Whether all recordings have been opened."""

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenRecording]:
        return iter(self._open.values())

    def __getitem__(self, number: int) -> OpenRecording:
        return self._open[number]

    def get(self, number: int) -> OpenRecording | None:
        """Return an open recording; None if it is not open."""
        return self._open.get(number)

    @property
    def is_waiting(self) -> bool:
        """Whether a chunk can be given to a worker now."""
        return bool(self._with_waiting)

    @property
    def waiting_chunks(self) -> int:
        """Number of chunks that can be given to workers now."""
        return sum(len(recording.waiting) for recording in self._with_waiting.values())

    def update(self, recording: OpenRecording) -> None:
        """Note that the waiting chunks of a recording have changed."""
        if recording.waiting:
            self._with_waiting[recording.number] = recording
        else:
            self._with_waiting.pop(recording.number, None)

    def release(self, now: float) -> None:
        """Let the delayed chunks be given whose time has come."""
        for recording in self._open.values():
            if recording.delayed:
                recording.release(now)
                self.update(recording)

    def forget(self, recording: OpenRecording) -> None:
        """Close a recording."""
        del self._open[recording.number]
        self._with_waiting.pop(recording.number, None)

    def open_next(self) -> OpenRecording | None:
        """Open recordings until one has a chunk to give; return it, or None if there is no room or no recording left."""
        while not self.is_exhausted and len(self._open) < self._most:
            work = next(self._coming, None)
            if work is None:
                self.is_exhausted = True
                break
            opened = self._open[work.number] = OpenRecording(work)
            self.update(opened)
            if opened.waiting:
                return opened
        return None

    def waiting_for(self, last: int | None) -> OpenRecording | None:
        """Return a recording with a chunk for a worker: what it had, what nobody works at, a new one, or the one with most to do.

        So a worker reads few recordings, which it may have to fetch, and all help with the last ones.

        Args:
            last: The recording that the worker had last; None for none.
        """
        if last in self._with_waiting:
            return self._with_waiting[last]
        for recording in self._with_waiting.values():
            if not recording.running:
                return recording
        return self.open_next() or max(
            self._with_waiting.values(), key=lambda item: len(item.waiting) / (1 + len(item.running)), default=None
        )
