"""Merges one recording of an archive: reads its results, writes its events, and notes in ``merged/`` what they were made of.

A recording that was merged from the same results into the same files is not merged again. Any process; each recording is independent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ferstream import __version__
from ferstream.app.assembly import REPLAY
from ferstream.archive.chunk_file import ChunkResult, decode_result
from ferstream.archive.done_file import DoneRecording, done_name, read_done
from ferstream.archive.merging.merge_outputs import EventsFile, RecordingOutputs, part_of_events
from ferstream.archive.merging.minutes import Minute, MinuteCounter
from ferstream.archive.merging.recorded_events import BLOCK_FRAMES, InconsistentError, RecordingMerger, recorded_frames
from ferstream.archive.plan import WHOLE, Plan, PlannedRecording
from ferstream.archive.storage.store import LocalStore, Store
from ferstream.archive.storage.stores import open_store
from ferstream.errors import DataError
from ferstream.events.encode import Encoder, ModelRef
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings

FORMAT = 1
MERGED = "merged"
"""Folder of what is known of merged recordings."""


def merged_name(recording: int) -> str:
    """Return the name of the file that says what a merged recording was made of."""
    return f"{MERGED}/{recording:06d}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The result of merging one recording.

    Attributes:
        number: Number of the recording.
        frames: Analysed frames.
        faces: Faces in them.
        lost: Frames that were damaged or missing.
        failed: Why the recording could not be analysed; empty if it was.
        damaged: Why its results cannot be used, so that it must be analysed again; empty if they can.
        was_merged: Whether an earlier process had merged it.
    """

    number: int
    frames: int = 0
    faces: int = 0
    lost: int = 0
    failed: str = ""
    damaged: str = ""
    was_merged: bool = False


@dataclass(slots=True, kw_only=True)
class MergeJob:
    """What all recordings of one merge share.

    Attributes:
        store: The archive.
        plan: Its plan.
        settings: The settings of the plan.
        model: Name and version of the classifier.
        scratch: Folder for files while they are written, of the file system of the archive if that is a local folder.
        events: Folder of the JSON lines; None for none.
        has_tables: Whether Parquet files are written.
        on_frames: Called now and then while a recording is merged, with its number and how many of its pictures are merged.
    """

    store: Store
    plan: Plan
    settings: Settings
    model: ModelRef
    scratch: Path
    events: Path | None = None
    has_tables: bool = True
    on_frames: Callable[[int, int], None] = field(default=lambda number, frames: None)

    def __reduce__(self) -> tuple[Callable[..., MergeJob], tuple[str, dict[str, Any]]]:
        """Return how another process makes an equal job; ``on_frames`` stays here."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in {"store", "on_frames"}}
        return _job_of_process, (self.store.where, values)

    def merge(self, number: int) -> Merged:
        """Merge one recording, which is analysed; do nothing if that was done before.

        Raises:
            OutputError: A file cannot be written.
        """
        recording, before = self.plan.recordings[number], self._note(number)
        try:
            done = read_done(self.store, done_name(number))
            if done is None:
                self._remove_outputs(recording, before)
                return Merged(number=number, failed=self._failure(number))
            return self._merge_analysed(recording, done, before)
        except DataError as exc:
            self.store.remove(done_name(number))
            return Merged(number=number, damaged=str(exc))

    def remove_parts(self, numbers: Iterable[int]) -> None:
        """Remove what processes that were ended have written of the JSON lines of recordings; the scratch folder is the caller's."""
        if self.events is not None:
            for number in numbers:
                part_of_events(self.events, self.plan.recordings[number]).unlink(missing_ok=True)

    def _failure(self, number: int) -> str:
        return str(json.loads(self.store.read(done_name(number)))["failed"])

    def _merge_analysed(self, recording: PlannedRecording, done: DoneRecording, before: Mapping[str, Any]) -> Merged:
        made_of = self._made_of(recording, done)
        was_merged = self._is_merged(before, made_of)
        note = before if was_merged else self._merge(recording, done.files, made_of, before)
        number = recording.number
        return Merged(number=number, frames=note["frames"], faces=note["faces"], lost=done.lost, was_merged=was_merged)

    def _remove_outputs(self, recording: PlannedRecording, before: Mapping[str, Any]) -> None:
        """Remove what an earlier process made of a recording that cannot be analysed any more."""
        if self.events is not None:
            LocalStore(self.events).remove(f"{recording.camera}.jsonl")
        self._remove(before.get("files", ()))
        self.store.remove(merged_name(recording.number))

    def _note(self, number: int) -> dict[str, Any]:
        """Return what an earlier process noted about a recording; empty if it noted nothing."""
        try:
            note = json.loads(self.store.read(merged_name(number)))
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.get("format") == FORMAT else {}

    def _made_of(self, recording: PlannedRecording, done: DoneRecording) -> dict[str, Any]:
        """Return what decides about every byte of the outputs of a recording."""
        sections = self.settings.model_dump(mode="json", include={"tracking", "inference", "privacy"})
        named = {"number": recording.number, "source": recording.source, "camera": recording.camera, "origin": recording.utc_origin_ns}
        return {
            "ferstream": __version__,
            "results": list(done.files),
            "recording": named,
            "model": asdict(self.model),
            "settings": hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest(),
        }

    def _is_merged(self, before: Mapping[str, Any], made_of: Mapping[str, Any]) -> bool:
        """Return whether all outputs of a recording are there."""
        if before.get("made_of") != made_of or (self.has_tables and not before["has_tables"]):
            return False
        if self.has_tables and not all(name in set(self.store.names(name.rpartition("/")[0])) for name in before["files"]):
            return False
        if self.events is None:
            return True
        file = before["events"]
        return file is not None and file["folder"] == str(self.events.absolute()) and _size(self.events / file["name"]) == file["size"]

    def _merge(
        self, recording: PlannedRecording, results: Sequence[str], made_of: Mapping[str, Any], before: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Write the outputs of a recording; return what is noted about it."""
        old = set(before.get("files", ()))
        kept = before if before.get("made_of") == made_of else {}  # outputs that are not asked for now, and still true
        with self._outputs(recording) as outputs:
            minutes = self._publish(recording, results, outputs)
            tables = outputs.finish_tables()
            new = {file.name for file in tables} if self.has_tables else set(kept.get("files", ()))
            if not new <= old:  # known before they are there, so that a later merge with other dates removes them
                self._write_note(recording.number, {"files": sorted(old | new)})
            for file in tables:
                self.store.put(file.name, file.path)
            events = outputs.finish_events(None if self.events is None else LocalStore(self.events))
        self._remove(old - new)
        note = {
            "made_of": made_of,
            "frames": sum(minute.frames for minute in minutes),
            "faces": sum(minute.faces for minute in minutes),
            "files": sorted(new),
            "has_tables": self.has_tables or kept.get("has_tables", False),
            "events": kept.get("events") if events is None else self._stored(events),
            "minutes": [minute.stored() for minute in minutes],
        }
        self._write_note(recording.number, note)
        return note

    def _publish(self, recording: PlannedRecording, results: Sequence[str], outputs: RecordingOutputs) -> Sequence[Minute]:
        """Write the events of a recording; return its minutes."""
        counter = MinuteCounter()
        try:
            self._publish_frames(recording, results, outputs, counter)
        except InconsistentError:
            self._remove(results)
            raise
        return counter.minutes

    def _publish_frames(
        self, recording: PlannedRecording, results: Sequence[str], outputs: RecordingOutputs, counter: MinuteCounter
    ) -> None:
        merger = RecordingMerger(self.settings, observer=Counters(), publish=outputs.write, on_labelled=counter.add)
        for position, frame in enumerate(recorded_frames(self._results(recording, results), recording)):
            merger.add(frame)
            if position % BLOCK_FRAMES == 0:
                self.on_frames(recording.number, frame.detected.info.index)
        merger.finish(recording.camera)

    def _write_note(self, number: int, note: Mapping[str, Any]) -> None:
        self.store.write(merged_name(number), json.dumps({"format": FORMAT} | dict(note), separators=(",", ":")).encode())

    def _stored(self, events: EventsFile) -> dict[str, Any]:
        return {"folder": str(self.events and self.events.absolute())} | asdict(events)

    @contextlib.contextmanager
    def _outputs(self, recording: PlannedRecording) -> Iterator[RecordingOutputs]:
        """Open the outputs of a recording; what is not complete at the end is removed."""
        encoder = Encoder(node=REPLAY, boot_id=REPLAY, model=self.model, clock=SystemClock(), sources={recording.camera: recording.source})
        scratch = self.scratch / f"{recording.number:06d}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        outputs = RecordingOutputs(recording, encoder=encoder, scratch=scratch, events=self.events, has_tables=self.has_tables)
        try:
            yield outputs
        finally:
            outputs.abandon()
            shutil.rmtree(scratch, ignore_errors=True)

    def _results(self, recording: PlannedRecording, names: Sequence[str]) -> Iterator[ChunkResult]:
        """Yield the results of a recording, one at a time in memory.

        Raises:
            DataError: One is missing or damaged; it is removed, so that it is made again.
        """
        for position, name in enumerate(names):
            try:
                result = decode_result(self.store.read(name), name)
            except FileNotFoundError:
                raise DataError(f"{name} is missing") from None
            except DataError:
                self.store.remove(name)
                raise
            if result.recording != recording.number or result.chunk not in (position, WHOLE):
                raise DataError(f"{name} is not the result of chunk {position} of {recording.source}")
            yield result

    def _remove(self, names: Sequence[str] | set[str]) -> None:
        for name in names:
            self.store.remove(name)


def _job_of_process(where: str, values: dict[str, Any]) -> MergeJob:
    return MergeJob(store=open_store(where), **values)


def model_of(plan: Plan) -> ModelRef:
    """Return the classifier of a plan, as it stands in the events."""
    name, _, version = str(plan.identity["model"]).partition(" on ")[0].rpartition("/")
    return ModelRef(name, version)


def stored_minutes(store: Store, number: int) -> list[list[Any]]:
    """Return the minutes of a merged recording; none if it was not merged."""
    try:
        note = json.loads(store.read(merged_name(number)))
    except FileNotFoundError:
        return []
    return list(note["minutes"])


def _size(path: Path) -> int:
    """Return the size of a file in bytes; -1 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
