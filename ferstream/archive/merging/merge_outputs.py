"""The files that the events of one recording are written to, under other names until they are complete."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ferstream.archive.merging.dataset import FACES, TRACKS, FinishedFile, PartitionedTable
from ferstream.archive.plan import PlannedRecording
from ferstream.archive.storage.store import PART, Store
from ferstream.domain.event import Event, FaceEvent, TrackEvent
from ferstream.errors import OutputError
from ferstream.events.encode import Encoder, encoded
from ferstream.events.schemas import FACE, TRACK
from ferstream.sinks.jsonl import JsonlSink


def part_of_events(folder: Path, recording: PlannedRecording) -> Path:
    """Return the path of the JSON lines of a recording while they are written."""
    return folder / f".{recording.camera}.jsonl{PART}"


@dataclass(frozen=True, slots=True)
class EventsFile:
    """A file of JSON lines that is complete.

    Attributes:
        name: Its name in the folder of the events.
        size: Bytes.
        lines: Its lines.
    """

    name: str
    size: int
    lines: int


class RecordingOutputs:
    """Writes the events of one recording as JSON lines, as Parquet files, or both. Each event is encoded once. One thread."""

    def __init__(self, recording: PlannedRecording, *, encoder: Encoder, scratch: Path, events: Path | None, has_tables: bool) -> None:
        """Open the file of the JSON lines.

        Args:
            recording: The recording.
            encoder: Numbers and encodes its events.
            scratch: Empty folder for Parquet files while they are written.
            events: Folder of the JSON lines; None for none.
            has_tables: Whether Parquet files are written.

        Raises:
            OutputError: The file cannot be written.
        """
        self._recording, self._encoder, self._events = recording, encoder, events
        self._sink = None if events is None else JsonlSink(path=str(part_of_events(events, recording)))
        tables = {FACE: FACES, TRACK: TRACKS} if has_tables else {}
        self._tables: Mapping[str, PartitionedTable] = {
            schema: PartitionedTable(table, camera=recording.camera, recording=recording.number, scratch=scratch)
            for schema, table in tables.items()
        }
        if self._sink is not None:
            self._sink.open()

    def write(self, event: Event) -> None:
        """Write an event.

        Raises:
            OutputError: The disk is full.
            ValueError: A number in the event is not finite.
        """
        if not isinstance(event, FaceEvent | TrackEvent):
            return
        fields = self._encoder.numbered_fields(event)
        if self._sink is not None and isinstance(event, FaceEvent):
            self._sink.write(encoded(fields))
        table = self._tables.get(fields["schema"])
        if table is not None:
            table.add(fields, event.info.captured_at_ns)

    def finish_tables(self) -> list[FinishedFile]:
        """Complete the Parquet files, which are still in the scratch folder.

        Raises:
            OutputError: The disk is full.
        """
        return [file for table in self._tables.values() for file in table.finish()]

    def finish_events(self, store: Store | None) -> EventsFile | None:
        """Complete the file of the JSON lines and give it its name; None if there is none.

        Args:
            store: The folder of the events.

        Raises:
            OutputError: The disk is full.
        """
        if self._sink is None or store is None:
            return None
        size = self._sink.sync()
        self._sink.close()
        file = EventsFile(f"{self._recording.camera}.jsonl", size, self._sink.lines)
        store.put(file.name, Path(self._sink.path))
        return file

    def abandon(self) -> None:
        """Close all files, and remove that of the JSON lines unless it has its name; the scratch folder is the caller's."""
        for table in self._tables.values():
            table.abandon()
        if self._sink is not None:
            with contextlib.suppress(OutputError):  # the disk may be full, and the first error says so
                self._sink.close()
            Path(self._sink.path).unlink(missing_ok=True)
