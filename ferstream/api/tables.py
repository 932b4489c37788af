"""``ferstream.to_dataframe``: events and faces as a table of pandas or polars."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from ferstream.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ferstream.api.events import Event
    from ferstream.api.values import Faces
    from ferstream.sinks.table.columns import Column

Library = Literal["pandas", "polars"]
Kind = Literal["face", "track", "still"]
LIBRARIES: tuple[Library, ...] = ("pandas", "polars")


def to_dataframe(
    items: Faces | Iterable[Event | Faces | Mapping[str, Any]], *, library: Library | None = None, kind: Kind | None = None
) -> Any:
    """Return events, or the faces of pictures, as a table with flat columns.

    The columns are those of ``ferstream replay --table``, which ``docs/replay.md`` describes: ``camera``, ``media_time_s``,
    ``track_id``, ``box_x``, ``label``, ``p_happy`` and so on. For faces of pictures: ``file``, ``width``, ``height``, ``face`` (number in
    its picture, from 0), the columns of box, landmarks and expression, and ``best``. A missing value is null. Times are UTC, and
    text that repeats is categorical.

    Args:
        items: What ``replay``, ``watch`` or ``analyze`` gave: face events, or track events, or the ``Faces`` of one or several
            pictures. Events may also be their JSON as a ``dict``. All are of one kind. An iterator is read to its end.
        library: ``"pandas"`` (``ferstream[pandas]``) or ``"polars"`` (``ferstream[polars]``). None: the one that is installed, pandas
            if both are.
        kind: What the items are: ``"face"``, ``"track"`` or ``"still"``. None: what the first item is; without items, ``"face"``.

    Returns:
        A ``pandas.DataFrame`` or ``polars.DataFrame``, one row for each event or face.

    Raises:
        ferstream.errors.ConfigError: The library is not installed; the message names the extra.
        ferstream.errors.DataError: An item is of another kind, or has no table (``summary``, ``state``).

    Example:
        >>> table = ferstream.to_dataframe(ferstream.replay("clip.mp4"))  # doctest: +SKIP
        >>> table.groupby("track_id", observed=True)["p_happy"].mean()  # doctest: +SKIP
    """
    make = {"pandas": _pandas, "polars": _polars}[_installed(library)]
    entries: Iterator[Any] = iter([items] if _is_faces(items) else items)
    first = next(entries, None)
    chosen = kind or ("face" if first is None else _kind(first))
    columns = _columns(chosen)
    rows = _rows(chain([] if first is None else [first], entries), chosen)
    values = list(zip(*([column.value(row) for column in columns] for row in rows), strict=True)) or [()] * len(columns)
    return make(columns, values)


def _installed(library: str | None) -> Library:
    """Return the library to use."""
    from ferstream.runtime.program import install_command

    if library not in {None, *LIBRARIES}:
        raise ConfigError(f"library = {library!r}: expected 'pandas' or 'polars'")
    wanted = [name for name in LIBRARIES if library in {None, name}]
    found = next((name for name in wanted if importlib.util.find_spec(name) is not None), None)
    if found is None:
        how = install_command(wanted[0], extra=wanted[0])
        raise ConfigError(f"a table needs {' or '.join(wanted)}, which is not installed; install with: {how}")
    return found


def _is_faces(items: object) -> bool:
    from ferstream.api.values import Faces

    return isinstance(items, Faces)


def _kind(item: object) -> str:
    """Return the kind of an item: a kind of event, or ``still``."""
    if _is_faces(item):
        return "still"
    from ferstream.events.schemas import KINDS

    schema = item.get("schema") if isinstance(item, Mapping) else getattr(item, "schema_", None)
    if schema not in KINDS:
        raise DataError(f"an item of type {type(item).__name__} is not an event and not the faces of a picture")
    return KINDS[schema]


def _rows(items: Iterable[Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON of each row."""
    for item in items:
        found = _kind(item)
        if found != kind:
            raise DataError(f"the items are of several kinds, {kind} and {found}; make a table of each")
        if kind == "still":
            about = {"file": item.file, "width": item.width, "height": item.height}
            yield from ({**about, "face": number, **face.to_dict()} for number, face in enumerate(item))
        else:
            yield item if isinstance(item, Mapping) else item.to_dict()


def _columns(kind: str) -> Sequence[Column]:
    from ferstream.events.schemas import KINDS
    from ferstream.sinks.table.columns import COLUMNS

    found = {KINDS[schema]: columns for schema, columns in COLUMNS.items()} | {"still": still_columns()}
    if kind not in found:
        raise DataError(f"there is no table of {kind} events; expected one of {', '.join(found)}")
    return found[kind]


def still_columns() -> tuple[Column, ...]:
    """Return the columns of the faces of pictures: those of a face event that a picture has, and what is said of pictures only."""
    from ferstream.sinks.table.columns import FACE_COLUMNS, Column
    from ferstream.sinks.table.columns import Kind as Type

    head = (
        Column("file", Type.CATEGORY, ("file",), "The path that was given."),
        Column("width", Type.INTEGER, ("width",), "Width of the upright picture.", "px"),
        Column("height", Type.INTEGER, ("height",), "Height of the upright picture.", "px"),
        Column("face", Type.INTEGER, ("face",), "Number of the face in its picture, from the left, from 0."),
    )
    best = Column("best", Type.CATEGORY, ("best",), "The expression with the highest probability, also where label is unknown.")
    shared = (column for column in FACE_COLUMNS if column.path[0] in {"face", "emotion"} and "smoothed" not in column.path)
    return (*head, *(replace(column, path=column.path[1:]) for column in shared), best)


def _pandas(columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> Any:
    import pandas as pd

    types = {"timestamp[ms, UTC]": "datetime64[ms, UTC]", "dictionary<string>": "category", "int64": "int64"}
    series = {}
    for column, cells in zip(columns, values, strict=True):
        if column.kind == "timestamp[ms, UTC]":
            moments = pd.to_datetime(pd.Series(cells, dtype="object"), utc=True)
            series[column.name] = moments.astype(types[column.kind])
        else:
            series[column.name] = pd.Series(cells, dtype=types.get(column.kind, str(column.kind)))
    return pd.DataFrame(series)


def _polars(columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> Any:
    import polars as pl

    types = {"dictionary<string>": pl.Categorical, "int64": pl.Int64, "float64": pl.Float64, "float32": pl.Float32}
    series = []
    for column, cells in zip(columns, values, strict=True):
        if column.kind == "timestamp[ms, UTC]":
            series.append(pl.Series(column.name, cells, dtype=pl.String).str.to_datetime(time_unit="ms", time_zone="UTC"))
        else:
            series.append(pl.Series(column.name, cells, dtype=types[column.kind]))
    return pl.DataFrame(series)
