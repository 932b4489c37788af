"""What is left to do in an archive, from its plan and the files of earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ferstream.archive.chunk_file import FOLDER as CHUNKS
from ferstream.archive.chunk_file import parse_name
from ferstream.archive.done_file import FOLDER as DONE
from ferstream.archive.done_file import DoneRecording, decode_done, done_name
from ferstream.archive.plan import WHOLE, Plan, PlannedRecording, chunks_name, decode_chunks
from ferstream.archive.scheduling.actions import RecordingWork
from ferstream.archive.storage.read_ahead import contents
from ferstream.archive.storage.store import Store
from ferstream.errors import ConfigError, DataError

GUESSED_FPS = 25.0
"""Frames per second of recordings that do not say how many they have."""


def planned_frames(recording: PlannedRecording) -> int:
    """Return the number of pictures of a recording, which is an estimate for one that is not divided."""
    return recording.frames or round(recording.duration_s * GUESSED_FPS)


class Unfinished:
    """The recordings that are not analysed. Keeps numbers of finished recordings, and names of results of the others."""

    def __init__(self, store: Store, plan: Plan, *, on_done: Callable[[PlannedRecording, DoneRecording], None], mixed: bool) -> None:
        """Read what is done.

        Args:
            store: The archive.
            plan: Its plan.
            on_done: Called for each recording that is analysed.
            mixed: Whether two results of a chunk may differ: the first by name is taken.

        Raises:
            DataError: There are two results of a chunk that differ.
            OutputError: The store cannot be read.
        """
        self._store, self._plan, self._mixed = store, plan, mixed
        self.finished: set[int] = set()
        """Numbers of the recordings that are analysed."""
        self._read_done(on_done)
        self._results: dict[int, dict[int, str]] = {}
        for name in store.names(CHUNKS):
            self._note_result(name)

    @property
    def recordings(self) -> list[PlannedRecording]:
        """The recordings that are not analysed: those that one worker reads first, the longest at the beginning."""
        left = [recording for recording in self._plan.recordings if recording.number not in self.finished]
        return sorted(left, key=lambda item: (item.is_divided, 0.0 if item.is_divided else -item.duration_s, item.number))

    def works(self) -> Iterator[RecordingWork]:
        """Yield what is to be done; the chunks of a recording are read when it is its turn.

        Raises:
            ConfigError: The chunks of a recording are missing or damaged.
        """
        for recording in self.recordings:
            frames = self._frames(recording)
            results = self._results.pop(recording.number, {})
            yield RecordingWork(number=recording.number, title=recording.source, frames=frames, results=results)

    def _frames(self, recording: PlannedRecording) -> dict[int, int]:
        if not recording.is_divided:
            return {WHOLE: planned_frames(recording)}
        name = chunks_name(recording.number)
        try:
            return {chunk.number: chunk.frames for chunk in decode_chunks(self._store.read(name), name)}
        except FileNotFoundError:
            raise ConfigError(f"{name}: is missing; plan the archive again") from None

    def _read_done(self, on_done: Callable[[PlannedRecording, DoneRecording], None]) -> None:
        known = {done_name(recording.number): recording for recording in self._plan.recordings}
        for name, data in contents(self._store, (name for name in self._store.names(DONE) if name in known)):
            done = None if data is None else _decoded(data, name)
            if done is not None:
                self.finished.add(known[name].number)
                on_done(known[name], done)

    def _note_result(self, name: str) -> None:
        parsed = parse_name(name)
        if parsed is None or parsed[0] in self.finished:
            return
        results = self._results.setdefault(parsed[0], {})
        other = results.setdefault(parsed[1], name)
        if other == name:
            return
        if not self._mixed:
            raise DataError(
                f"{self._store.where}: {min(name, other)} and {max(name, other)} are different results of one chunk: the machines do not "
                "compute the same; remove both, and run with equal machines, or give --mixed"
            )
        results[parsed[1]] = min(name, other)


def _decoded(data: bytes, name: str) -> DoneRecording | None:
    """Return what came of a recording; None if it failed, or if the file is damaged: it is made again from the results."""
    try:
        return decode_done(data, name)
    except DataError:
        return None
