"""Rows of one table on their way to their file: CSV under a temporary name, which grows with every row."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ferstream.sinks.table.columns import Column, Json, Value, row

BUFFER_BYTES = 1 << 18


class RowFile:
    """Writes the rows of one table as CSV. Errors are those of the file system. One thread."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        """Keep the parts; nothing is opened yet.

        Args:
            path: The file.
            columns: Its columns.
        """
        self.path, self.columns = path, tuple(columns)
        self._file: IO[bytes] | None = None
        self._text = io.StringIO(newline="")
        self._csv = csv.writer(self._text, lineterminator="\n")

    def open(self, size: int | None = None) -> None:
        """Begin a file, or go on after the first ``size`` bytes of the file that an earlier process left.

        Raises:
            OSError: The file cannot be written, or has fewer than ``size`` bytes.
        """
        if size is None:
            self._file = self.path.open("wb", buffering=BUFFER_BYTES)
            self._write([column.name for column in self.columns])
            return
        self._file = self.path.open("r+b", buffering=BUFFER_BYTES)
        if os.fstat(self._file.fileno()).st_size < size:
            raise OSError(0, "is shorter than when it was left", str(self.path))
        self._file.truncate(size)
        self._file.seek(size)

    def write(self, event: Json) -> None:
        """Write the row of an event."""
        self._write(row(event, self.columns))

    def flush(self) -> None:
        """Hand all rows to the system."""
        if self._file is not None:
            self._file.flush()

    def sync(self) -> int:
        """Have all rows on the disk; return the size of the file in bytes."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def abandon(self) -> None:
        """Close the file and remove it."""
        with contextlib.suppress(OSError):  # what is buffered cannot be written either
            self.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _write(self, values: Sequence[Value]) -> None:
        assert self._file is not None
        self._csv.writerow(values)
        self._file.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()
