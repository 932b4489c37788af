"""Makes a Parquet file of a CSV file of rows, in blocks, so that memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ferstream.errors import ConfigError, OutputError
from ferstream.sinks.table.columns import Column, Kind

ROWS_PER_GROUP = 65_536
"""Rows of a row group: about 3 MB in a file, 30 MB in memory."""
_BLOCK_BYTES = 4 << 20
_LEVEL = 3
"""Of zstd; 9 is 4 % smaller and 3 times slower."""


def pyarrow() -> Any:
    """Return pyarrow.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise ConfigError(
            "Parquet files need pyarrow, which is not installed: pip install 'ferstream[parquet]', or write a .csv file"
        ) from None
    return pa


def write_parquet(rows: Path, columns: Sequence[Column], out: Path) -> None:
    """Convert a file of rows.

    Args:
        rows: CSV file with a header.
        columns: Its columns.
        out: The Parquet file, replaced if it exists.

    Raises:
        OSError: A file cannot be read or written.
        OutputError: The rows do not fit the columns.
    """
    pa = pyarrow()
    from pyarrow import parquet

    schema = pa.schema([pa.field(column.name, _stored_type(pa, column.kind)) for column in columns])
    try:
        with parquet.ParquetWriter(out, schema, compression="zstd", compression_level=_LEVEL) as writer:
            for group in _groups(pa, rows, columns):
                writer.write_table(group.combine_chunks().cast(schema), row_group_size=ROWS_PER_GROUP)
    except pa.ArrowInvalid as exc:
        raise OutputError(f"{rows}: its rows cannot be read again ({exc}); was it changed?") from exc


def _groups(pa: Any, rows: Path, columns: Sequence[Column]) -> Iterator[Any]:
    """Yield tables of ``ROWS_PER_GROUP`` rows; the last one has fewer."""
    kept: list[Any] = []
    count = 0
    for batch in _batches(rows, {column.name: _read_type(pa, column.kind) for column in columns}):
        kept.append(batch)
        count += batch.num_rows
        if count >= ROWS_PER_GROUP:
            table = pa.Table.from_batches(kept)
            for start in range(0, count - ROWS_PER_GROUP + 1, ROWS_PER_GROUP):
                yield table.slice(start, ROWS_PER_GROUP)
            kept = table.slice(count - count % ROWS_PER_GROUP).to_batches()
            count %= ROWS_PER_GROUP
    if count:
        yield pa.Table.from_batches(kept)


def _batches(rows: Path, types: dict[str, Any]) -> Iterator[Any]:
    from pyarrow import csv

    convert = csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False)
    parse = csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(rows, read_options=csv.ReadOptions(block_size=_BLOCK_BYTES), parse_options=parse, convert_options=convert) as reader:
        yield from reader


def _read_type(pa: Any, kind: Kind) -> Any:
    return pa.string() if kind is Kind.CATEGORY else _stored_type(pa, kind)


def _stored_type(pa: Any, kind: Kind) -> Any:
    types = {
        Kind.TIMESTAMP: lambda: pa.timestamp("ms", tz="UTC"),
        Kind.CATEGORY: lambda: pa.dictionary(pa.int32(), pa.string()),
        Kind.INTEGER: pa.int64,
        Kind.SECONDS: pa.float64,
        Kind.REAL: pa.float32,
    }
    return types[kind]()
