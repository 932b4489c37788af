"""Face events and changes of tracks as two tables, CSV or Parquet; called by the publishing thread, and by the owner before and after.

Rows are written as CSV under a temporary name. ``finish`` makes the files: it renames the rows, or converts them to Parquet, which
needs all of them. So nothing appears under the names of the tables before everything is in it, and a run that was killed can be
continued at a row.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from ferstream.errors import ConfigError, OutputError
from ferstream.events.schemas import FACE, TRACK
from ferstream.sinks.table.columns import COLUMNS
from ferstream.sinks.table.parquet import pyarrow, write_parquet
from ferstream.sinks.table.rows import RowFile

CSV, PARQUET = ".csv", ".parquet"
FORMATS = (CSV, PARQUET)
"""Endings of the names of tables."""


def tracks_path(path: Path) -> Path:
    """Return the file of the changes of tracks beside the table of faces: ``out.tracks.csv`` for ``out.csv``."""
    return path.with_name(f"{path.stem}.tracks{path.suffix}")


def check_table_path(path: Path) -> None:
    """Check that a table of this name can be made.

    Raises:
        ConfigError: The name has another ending, or Parquet files need a package that is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: the name of a table ends in .csv or .parquet")
    if path.suffix.lower() == PARQUET:
        pyarrow()


class TableSink:
    """Writes each face event as a row of one table, and each change of a track as a row of another."""

    name = "table"

    def __init__(self, *, path: Path, sizes: Mapping[str, int] | None = None, may_be_finished: bool = False) -> None:
        """Nothing is opened yet.

        Args:
            path: The table of faces, ``.csv`` or ``.parquet``; ``tracks_path`` is the other one. Both are replaced by ``finish``.
            sizes: What ``sync`` returned at the row after which to go on, whose rows are then kept; None begins anew.
            may_be_finished: Whether ``finish`` may have been interrupted: rows that are gone are then in their table.

        Raises:
            ConfigError: See ``check_table_path``.
        """
        check_table_path(path)
        self._keeps, self._sizes = sizes is not None, sizes
        self._paths = {FACE: path, TRACK: tracks_path(path)}
        self._rows = {schema: RowFile(_rows_path(path), COLUMNS[schema]) for schema, path in self._paths.items()}
        if may_be_finished:
            self._rows = {schema: rows for schema, rows in self._rows.items() if rows.path.exists() or not self._paths[schema].exists()}
        self._failure: str | None = None
        self._open = self._finished = False

    @property
    def row_files(self) -> dict[str, Path]:
        """The files of the rows by schema, which ``sync`` measures."""
        return {schema: rows.path for schema, rows in self._rows.items()}

    @property
    def paths(self) -> tuple[Path, Path]:
        """The files that ``finish`` makes: faces, changes of tracks."""
        return self._paths[FACE], self._paths[TRACK]

    def status(self) -> SinkStatus:
        """Return why the tables are incomplete, if they are."""
        return SinkStatus(self.name, None, self._failure or "")

    def open(self) -> None:
        """Open the files of the rows.

        Raises:
            OutputError: They cannot be written, or are shorter than ``sizes``.
        """
        try:
            for schema, rows in self._rows.items():
                if self._paths[schema].is_dir():
                    raise OutputError(f"cannot write the table {self._paths[schema]}: is a folder")
                with self._translated(schema):
                    rows.open(None if self._sizes is None else self._sizes[schema])
        except OutputError:
            for rows in self._rows.values():
                rows.close()
            raise
        self._open = True

    def write(self, message: Message) -> None:
        """Write the row of a face event or of a change of a track; other messages are ignored.

        Raises:
            OutputError: The disk is full or the file went away, now or at an earlier event.
        """
        self._check()
        rows = self._rows.get(message.schema)
        if rows is None or not self._open:
            return
        with self._translated(message.schema):
            rows.write(json.loads(message.payload))

    def flush(self, timeout_s: float) -> int:
        """Hand everything to the system; always 0, because what cannot be written raises. ``timeout_s`` is not used.

        Raises:
            OutputError: As ``write``.
        """
        self._check()
        if self._open:
            for schema, rows in self._rows.items():
                with self._translated(schema):
                    rows.flush()
        return 0

    def sync(self) -> dict[str, int]:
        """Have all rows on the disk; return the size of the rows in bytes by schema, from which a later sink can go on.

        Raises:
            OutputError: As ``write``.
        """
        self._check()
        sizes = {}
        for schema, rows in self._rows.items():
            with self._translated(schema):
                sizes[schema] = rows.sync()
        return sizes

    def keep_unfinished(self) -> None:
        """Leave the rows where they are when the sink is closed before ``finish``, so that a later sink can go on."""
        self._keeps = True

    def finish(self) -> None:
        """Make both tables of the rows; the last call before ``close``. Without it there are no tables.

        Raises:
            OutputError: As ``write``.
        """
        self.sync()
        ready: dict[str, Path] = {}
        for schema, rows in self._rows.items():
            with self._translated(schema):
                rows.close()
                ready[schema] = self._converted(schema, rows)
        for schema, file in ready.items():  # only now: a full disk leaves neither table
            with self._translated(schema):
                file.replace(self._paths[schema])
                _sync_folder(self._paths[schema].parent)
        self._finished = True
        self._remove_rows()

    def close(self) -> None:
        """Close the files; without ``finish`` the rows are removed, unless they are to be kept. A second call does nothing.

        Raises:
            OutputError: Rows that are to be kept cannot be written.
        """
        self._open = False
        if self._finished:
            return
        if not self._keeps:
            self._remove_rows()
        for schema, rows in self._rows.items():
            with self._translated(schema) if self._failure is None else contextlib.suppress(OSError):
                rows.close()

    def _converted(self, schema: str, rows: RowFile) -> Path:
        """Return the file that becomes the table."""
        if self._paths[schema].suffix.lower() == CSV:
            return rows.path
        out = _temporary(self._paths[schema])
        try:
            write_parquet(rows.path, rows.columns, out)
            _sync_file(out)
        except BaseException:
            with contextlib.suppress(OSError):
                out.unlink(missing_ok=True)
            raise
        return out

    def _remove_rows(self) -> None:
        for rows in self._rows.values():
            rows.abandon()

    @contextlib.contextmanager
    def _translated(self, schema: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            failure = OutputError(f"cannot write the table {self._paths[schema]}: {exc.strerror or exc}")
            self._failure = str(failure)
            raise failure from exc

    def _check(self) -> None:
        if self._failure is not None:
            raise OutputError(self._failure)


def _rows_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.rows.part")


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Have a rename on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
