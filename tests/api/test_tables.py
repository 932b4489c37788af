"""``ferstream.to_dataframe``: the columns of the tables of ``replay``, in pandas and in polars."""

from __future__ import annotations

import csv
import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

import ferstream
from ferstream.errors import ConfigError, DataError
from ferstream.sinks.table.columns import FACE_COLUMNS, TRACK_COLUMNS
from ferstream.sinks.table.rows import RowFile

Library = Literal["pandas", "polars"]
LIBRARIES: tuple[Library, ...] = ("pandas", "polars")


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    pytest.importorskip(request.param)
    chosen: Library = request.param
    return chosen


@pytest.fixture(scope="module")
def faces(clip: Path) -> list[ferstream.FaceEvent]:
    return list(ferstream.replay(clip))


@pytest.fixture(scope="module")
def tracks(clip: Path) -> list[ferstream.Event]:
    return list(ferstream.replay(clip, kinds=("track",)))


def records(table: Any, library: Library) -> list[dict[str, Any]]:
    """The rows of a table as plain values; a missing value is None."""
    rows = table.to_dict("records") if library == "pandas" else table.to_dicts()
    return [{name: None if value is None or value != value else value for name, value in row.items()} for row in rows]


def test_the_columns_are_those_of_the_tables_of_replay(
    faces: list[ferstream.FaceEvent], tracks: list[ferstream.Event], library: Library
) -> None:
    assert list(ferstream.to_dataframe(faces, library=library).columns) == [column.name for column in FACE_COLUMNS]
    assert list(ferstream.to_dataframe(tracks, library=library).columns) == [column.name for column in TRACK_COLUMNS]


def test_the_values_are_those_of_the_csv_of_replay(faces: list[ferstream.FaceEvent], tmp_path: Path, library: Library) -> None:
    file = RowFile(tmp_path / "rows.csv", FACE_COLUMNS)
    file.open()
    for event in faces:
        file.write(event.to_dict())
    file.close()
    with file.path.open(newline="") as lines:
        wanted = list(csv.DictReader(lines))
    found = records(ferstream.to_dataframe(faces, library=library), library)
    assert len(found) == len(wanted) > 2
    for row, text in zip(found, wanted, strict=True):
        for column in FACE_COLUMNS:
            value, expected = row[column.name], text[column.name]
            if column.kind == "timestamp[ms, UTC]":
                assert value == datetime.fromisoformat(expected)
            elif column.kind == "dictionary<string>":
                assert value == (expected or None)
            else:
                assert value == pytest.approx(float(expected), rel=1e-6)


def test_times_are_utc_numbers_are_numbers_and_text_is_categorical(faces: list[ferstream.FaceEvent], library: Library) -> None:
    table = ferstream.to_dataframe(faces, library=library)
    kinds = dict(zip(table.columns, map(str, table.dtypes), strict=True))
    assert kinds["captured_at"] in {"datetime64[ms, UTC]", "Datetime(time_unit='ms', time_zone='UTC')"}
    assert kinds["label"].lower().startswith("categor")
    assert kinds["seq"].lower() == "int64"
    assert kinds["p_happy"].lower() == "float32"
    assert table["captured_at"][0] == datetime(1970, 1, 1, tzinfo=UTC)


def test_the_faces_of_pictures_are_rows_too(portrait: Path, library: Library) -> None:
    several = ferstream.analyze([portrait, portrait])
    one = records(ferstream.to_dataframe(several[0], library=library), library)
    both = records(ferstream.to_dataframe(several, library=library), library)
    assert both == one * 2
    (face,) = several[0]
    assert (one[0]["file"], one[0]["face"], one[0]["width"], one[0]["label"]) == (str(portrait), 0, 512, face.label)
    assert face.box is not None
    assert one[0]["box_w"] == pytest.approx(face.box[2])
    assert one[0]["nose_x"] == pytest.approx(face.to_dict()["landmarks"][2][0])


def test_lines_of_json_and_iterators_give_the_same_table(faces: list[ferstream.FaceEvent], library: Library) -> None:
    table = records(ferstream.to_dataframe(faces, library=library), library)
    assert records(ferstream.to_dataframe((json.loads(event.to_json()) for event in faces), library=library), library) == table


def test_a_table_without_rows_has_its_columns(library: Library) -> None:
    assert ferstream.to_dataframe([], library=library).shape == (0, len(FACE_COLUMNS))
    assert ferstream.to_dataframe(iter([]), library=library, kind="track").shape == (0, len(TRACK_COLUMNS))


def test_what_has_no_table_is_an_error(
    faces: list[ferstream.FaceEvent], tracks: list[ferstream.Event], clip: Path, library: Library
) -> None:
    with pytest.raises(DataError, match="several kinds, face and track"):
        ferstream.to_dataframe([faces[0], tracks[0]], library=library)
    with pytest.raises(DataError, match="no table of state events"):
        ferstream.to_dataframe(ferstream.replay(clip, kinds=("state",)), library=library)
    with pytest.raises(DataError, match="type int is not an event"):
        ferstream.to_dataframe([7], library=library)  # type: ignore[list-item]
    with pytest.raises(DataError, match="type dict is not an event"):
        ferstream.to_dataframe([{"a": 1}], library=library)


def test_a_library_that_is_not_installed_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs pandas or polars, which is not installed.*the extra pandas"):
        ferstream.to_dataframe([])
    with pytest.raises(ConfigError, match=r"needs polars, which is not installed.*the extra polars"):
        ferstream.to_dataframe([], library="polars")
    with pytest.raises(ConfigError, match="library = 'arrow'"):
        ferstream.to_dataframe([], library="arrow")  # type: ignore[arg-type]
