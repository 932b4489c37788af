"""The tables of one recording as Parquet files: face events and changes of tracks, one file for each day (UTC).

The columns are those of ``replay --table`` (``sinks/table/columns.py``), but box, landmarks and probabilities are lists of fixed length,
and the camera is in the name of the folder. Every number is rounded as in the JSON lines. The encodings were measured (see
docs/archive-data.md).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ferstream.domain.emotion import LABELS
from ferstream.errors import ConfigError, OutputError
from ferstream.runtime.program import install_command
from ferstream.sinks.table.columns import FACE_COLUMNS, TRACK_COLUMNS, Column, Kind, row

ROWS_PER_GROUP = 65_536
"""Rows of a row group: about 3 MB in a file, 15 MB in memory while it is filled."""
BLOCK_ROWS = 2_048
"""Rows that are kept as Python objects, before they become columns."""
LEVEL = 3
"""Of zstd."""
NS_PER_DAY = 86_400_000_000_000
_DELTA = ("seq", "captured_at", "frame_index")
"""Columns that grow steadily: the differences are stored."""
_SPLIT = ("media_time_s",)
"""Columns with few equal values: their bytes are stored apart, first bytes first."""

Json = Mapping[str, Any]
Row = tuple[Any, ...]


def pyarrow() -> Any:
    """Return pyarrow.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        advice = install_command("pyarrow", extra="parquet")
        raise ConfigError(
            f"the tables of an archive are Parquet files and need pyarrow, which is not installed: {advice}; "
            "or give --events FOLDER for JSON lines only"
        ) from None
    return pa


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A column of lists of numbers.

    Attributes:
        name: Its name.
        length: Numbers in each list.
        meaning: What they are, for the documentation.
        unit: Their unit.
        is_optional: Whether a row may have none.
    """

    name: str
    length: int
    meaning: str
    unit: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class TableFormat:
    """One of the two tables.

    Attributes:
        folder: Folder of its files in the archive.
        columns: Its columns, in order.
        row: Makes a row of the fields of an event and its time in UTC milliseconds.
    """

    folder: str
    columns: tuple[Column | ListColumn, ...]
    row: Callable[[Json, int], Row]


_HEAD = tuple(column for column in FACE_COLUMNS[: [column.name for column in FACE_COLUMNS].index("box_x")] if column.name != "camera")
_BY_NAME = {column.name: column for column in FACE_COLUMNS}
_TRACK_COLUMNS = tuple(column for column in TRACK_COLUMNS if column.name != "camera")


def _face_row(event: Json, at_ms: int) -> Row:
    frame, track, face, emotion, model = event["frame"], event["track"], event["face"], event["emotion"], event["model"]
    smoothed, probabilities = emotion["smoothed"], emotion["probabilities"]
    return (
        event.get("source"),
        event["seq"],
        at_ms,
        frame["index"],
        frame["media_time_s"],
        frame["width"],
        frame["height"],
        track["id"],
        track["state"],
        track["age_s"],
        face["box"],
        face["score"],
        [number for point in face["landmarks"] for number in point],
        emotion["label"],
        emotion["confidence"],
        smoothed["label"],
        smoothed["confidence"],
        emotion.get("abstained"),
        None if probabilities is None else list(probabilities.values()),
        model["name"],
        model["version"],
    )


def _track_row(event: Json, at_ms: int) -> Row:
    return tuple(row({**event, "captured_at": at_ms}, _TRACK_COLUMNS))


FACES = TableFormat(
    "events",
    (
        *_HEAD,
        ListColumn("box", 4, "Left edge, top edge, width and height of the face's box.", "px"),
        _BY_NAME["score"],
        ListColumn("landmarks", 10, "x and y of right eye, left eye, nose, right and left corner of the mouth, of the subject.", "px"),
        *(_BY_NAME[name] for name in ("label", "confidence", "smoothed_label", "smoothed_confidence", "abstained")),
        ListColumn("probabilities", 7, f"Probabilities of {', '.join(LABELS)}; empty if not classified.", "0..1", is_optional=True),
        *(_BY_NAME[name] for name in ("model_name", "model_version")),
    ),
    _face_row,
)
"""A row is one face in one frame; where ``track_state`` is left, the last face of the track repeated."""
TRACKS = TableFormat("tracks", _TRACK_COLUMNS, _track_row)
"""A row is one change of a track: it appeared, changed its smoothed label, or left."""


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A Parquet file that is complete.

    Attributes:
        name: Its name in the archive.
        path: Where it is.
    """

    name: str
    path: Path


class PartitionedTable:
    """Writes one table of one recording: a Parquet file for each day."""

    def __init__(self, table: TableFormat, *, camera: str, recording: int, scratch: Path) -> None:
        """Nothing is written yet.

        Args:
            table: Which table.
            camera: Name of the camera, a part of the names of the folders.
            recording: Number of the recording, which the files are named after.
            scratch: Folder for the files while they are written.
        """
        self._table, self._scratch = table, scratch
        self._name = f"{table.folder}/camera={camera}/date={{date}}/{recording:06d}.parquet"
        self._files: dict[int, _ParquetFile] = {}

    def add(self, event: Json, at_ns: int) -> None:
        """Add the row of an event.

        Args:
            event: The fields of the event, as in its JSON.
            at_ns: When its frame was captured, UTC in nanoseconds since the epoch.

        Raises:
            OutputError: The disk is full.
        """
        day = at_ns // NS_PER_DAY
        file = self._files.get(day)
        if file is None:
            for other in self._files.values():
                other.close()  # times do not go back, so all of its rows are there
            path = self._scratch / f"{self._table.folder}-{day}.parquet"
            file = self._files[day] = _ParquetFile(path, self._table)
        file.add(self._table.row(event, at_ns // 1_000_000))

    def finish(self) -> list[FinishedFile]:
        """Complete the files; none if there was no event.

        Raises:
            OutputError: The disk is full.
        """
        for file in self._files.values():
            file.close()
        return [FinishedFile(self._name.format(date=_date(day)), file.path) for day, file in self._files.items()]

    def abandon(self) -> None:
        """Close the files as they are; a second call, and one after ``finish``, does nothing."""
        for file in self._files.values():
            file.abandon()


@dataclass(slots=True)
class _ParquetFile:
    """One file; rows are collected until they fill a row group.

    Attributes:
        path: Where it is written.
        table: Its format.
    """

    path: Path
    table: TableFormat
    _rows: list[Row] = field(default_factory=list)
    _batches: list[Any] = field(default_factory=list)
    _writer: Any = None
    _is_closed: bool = False

    def add(self, values: Row) -> None:
        self._rows.append(values)
        if len(self._rows) == BLOCK_ROWS:
            self._make_columns()
            if sum(batch.num_rows for batch in self._batches) >= ROWS_PER_GROUP:
                self._write_group()

    def close(self) -> None:
        """Complete the file; a second call does nothing."""
        if self._is_closed:
            return
        self._make_columns()
        self._write_group()
        with _translated(self.path):
            self._writer.close()
        self._is_closed = True

    def abandon(self) -> None:
        """Close the file as it is."""
        if not self._is_closed and self._writer is not None:
            with contextlib.suppress(OSError):  # the disk may be full
                self._writer.close()
        self._is_closed = True

    def _make_columns(self) -> None:
        if self._rows:
            pa = pyarrow()
            read = arrow_schema(self.table, plain=True)
            columns = [pa.array(values, kind) for values, kind in zip(zip(*self._rows, strict=True), read.types, strict=True)]
            self._batches.append(pa.RecordBatch.from_arrays(columns, schema=read))
            self._rows.clear()

    def _write_group(self) -> None:
        if not self._batches and self._writer is not None:
            return
        pa = pyarrow()
        stored = arrow_schema(self.table, plain=False)
        with _translated(self.path):
            if self._writer is None:
                from pyarrow import parquet

                options = encodings(stored)
                self._writer = parquet.ParquetWriter(self.path, stored, compression="zstd", compression_level=LEVEL, **options)
            group = pa.Table.from_batches(self._batches, arrow_schema(self.table, plain=True)).combine_chunks()
            columns = [
                column if column.type == kind else column.cast(kind) for column, kind in zip(group.columns, stored.types, strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=stored), row_group_size=ROWS_PER_GROUP)
        self._batches.clear()


def encodings(schema: Any) -> dict[str, Any]:
    """Return how the columns of a table are encoded, as options of ``ParquetWriter``; measured by bench/archive_parquet.py."""
    others = dict.fromkeys(_DELTA, "DELTA_BINARY_PACKED") | dict.fromkeys(_SPLIT, "BYTE_STREAM_SPLIT")
    return {"use_dictionary": [_leaf(schema, name) for name in schema.names if name not in others], "column_encoding": others}


def _leaf(schema: Any, name: str) -> str:
    """Return the name of a column as the Parquet format has it: numbers of a list are one level below."""
    is_list = str(schema.field(name).type).startswith("fixed_size_list")
    return f"{name}.list.element" if is_list else name


def arrow_schema(table: TableFormat, *, plain: bool) -> Any:
    """Return the Arrow schema of a table; ``plain`` has text where the file has dictionaries."""
    pa = pyarrow()
    return pa.schema([_field(pa, column, plain=plain) for column in table.columns])


def _field(pa: Any, column: Column | ListColumn, *, plain: bool) -> Any:
    if isinstance(column, ListColumn):
        numbers = pa.field("element", pa.float32(), nullable=False)
        return pa.field(column.name, pa.list_(numbers, column.length), nullable=column.is_optional)
    text = pa.string() if plain else pa.dictionary(pa.int32(), pa.string())
    types = {
        Kind.TIMESTAMP: pa.timestamp("ms", tz="UTC"),
        Kind.CATEGORY: text,
        Kind.INTEGER: pa.int64(),
        Kind.SECONDS: pa.float64(),
        Kind.REAL: pa.float32(),
    }
    return pa.field(column.name, types[column.kind])


def _date(day: int) -> str:
    """Return a day, counted from 1970-01-01, as YYYY-MM-DD."""
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise OutputError(f"cannot write the table {path}: {exc.strerror or exc}") from exc
