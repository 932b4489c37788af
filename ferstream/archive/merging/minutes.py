"""The summary of an archive: what each camera showed in each minute (UTC)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferstream.archive.merging.dataset import pyarrow
from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.domain.event import LabelledFrame, TrackChange
from ferstream.domain.track import TrackState
from ferstream.errors import OutputError

NS_PER_MINUTE = 60_000_000_000
ALL_LABELS = (*LABELS, UNKNOWN)
_POSITIONS = {label: position for position, label in enumerate(ALL_LABELS)}
_ROWS_PER_GROUP = 65_536


@dataclass(slots=True)
class Minute:
    """One minute of one camera.

    Attributes:
        number: Minutes since 1970-01-01, UTC.
        frames: Analysed frames.
        faces: Faces in them.
        labels: Faces by label of their frame, in the order of ``ALL_LABELS``.
        appeared: Tracks that began.
        left: Tracks that ended.
    """

    number: int
    frames: int = 0
    faces: int = 0
    labels: list[int] = field(default_factory=lambda: [0] * len(ALL_LABELS))
    appeared: int = 0
    left: int = 0

    def stored(self) -> list[Any]:
        """Return the values, for a JSON file."""
        return [self.number, self.frames, self.faces, self.labels, self.appeared, self.left]


class MinuteCounter:
    """Counts the frames of one recording by minute; times do not go back."""

    def __init__(self) -> None:
        """Start without minutes."""
        self.minutes: list[Minute] = []
        """The minutes with at least one frame, in order."""

    def add(self, frame: LabelledFrame) -> None:
        """Count a frame, its faces and the changes of its tracks."""
        minute = self._minute(frame.info.captured_at_ns // NS_PER_MINUTE)
        minute.frames += not frame.end_of_stream
        for face in frame.faces:
            if face.track.state is not TrackState.LEFT:  # which repeats a face that was counted
                minute.faces += 1
                minute.labels[_POSITIONS[face.emotion.verdict.label]] += 1
        for change in frame.changes:
            minute.appeared += change.change is TrackChange.APPEARED
            minute.left += change.change is TrackChange.LEFT

    def _minute(self, number: int) -> Minute:
        if not self.minutes or self.minutes[-1].number != number:
            self.minutes.append(Minute(number))
        return self.minutes[-1]


SUMMARY_COLUMNS: tuple[tuple[str, str], ...] = (
    ("camera", "Name of the camera."),
    ("minute", "Begin of the minute, UTC."),
    ("frames", "Analysed frames."),
    ("faces", "Faces in them."),
    *((label, f"Faces with label {label} in their frame.") for label in ALL_LABELS),
    ("mean_faces", "Faces per analysed frame."),
    ("appeared", "Tracks that began."),
    ("left", "Tracks that ended."),
)
"""Name and meaning of each column of ``summary.parquet``."""


def write_summary(cameras: Iterable[tuple[str, list[list[Any]]]], path: Path) -> int:
    """Write ``summary.parquet``: a row for each camera and minute with at least one frame; return the number of rows.

    Args:
        cameras: Names of the cameras and their stored minutes; they are taken one by one.
        path: The file.

    Raises:
        ConfigError: pyarrow is not installed.
        OutputError: The file cannot be written.
    """
    pa = pyarrow()
    from pyarrow import parquet

    schema = _schema(pa)
    rows: list[tuple[Any, ...]] = []
    written = 0

    def write_group() -> None:
        values = [[row[position] for row in rows] for position in range(len(schema.types))]
        columns = [pa.array(column, kind) for column, kind in zip(values, schema.types, strict=True)]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        rows.clear()

    try:
        with parquet.ParquetWriter(path, schema, compression="zstd", compression_level=3) as writer:
            for row in _rows(cameras):
                rows.append(row)
                written += 1
                if len(rows) == _ROWS_PER_GROUP:
                    write_group()
            if rows or not written:
                write_group()
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc.strerror or exc}") from exc
    return written


def _rows(cameras: Iterable[tuple[str, list[list[Any]]]]) -> Iterator[tuple[Any, ...]]:
    for camera, minutes in cameras:
        for number, frames, faces, labels, appeared, left in minutes:
            mean = round(faces / frames, 3) if frames else 0.0
            yield (camera, number * 60_000, frames, faces, *labels, mean, appeared, left)


def _schema(pa: Any) -> Any:
    types = {"camera": pa.dictionary(pa.int32(), pa.string()), "minute": pa.timestamp("ms", tz="UTC"), "mean_faces": pa.float64()}
    return pa.schema([pa.field(name, types.get(name, pa.int64())) for name, _ in SUMMARY_COLUMNS])
