"""Tables: their rows, their two formats, and that nothing half appears under their names."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.errors import ConfigError, OutputError
from ferstream.events.encode import Encoder, ModelRef
from ferstream.runtime.clock import SystemClock
from ferstream.sinks.table.columns import FACE_COLUMNS, TRACK_COLUMNS, Column
from ferstream.sinks.table.parquet import ROWS_PER_GROUP, write_parquet
from ferstream.sinks.table.sink import TableSink, tracks_path
from tests.support.builders import face_event, track_event

UNCLASSIFIED = {f"p_{name}" for name in LABELS}


@pytest.fixture
def encoder() -> Encoder:
    """An encoder of recordings, whose events name their file."""
    model = ModelRef("emotion-edge", "1.0.0")
    return Encoder(node="n", boot_id="b", model=model, clock=SystemClock(), sources={"door": 'a "b",\nc=é.mp4'})


def write(path: Path, encoder: Encoder, count: int = 3) -> TableSink:
    """A table of faces and of changes, finished."""
    sink = TableSink(path=path)
    sink.open()
    for index in range(count):
        sink.write(encoder.encode(face_event(index)))
        sink.write(encoder.encode(track_event(index)))
    sink.finish()
    sink.close()
    return sink


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def parquet_rows(path: Path) -> list[dict[str, Any]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def test_a_row_holds_the_values_of_its_event(encoder: Encoder, tmp_path: Path) -> None:
    event = json.loads(encoder.encode(face_event(2)).payload)
    write(tmp_path / "out.csv", encoder)
    row = csv_rows(tmp_path / "out.csv")[2]
    assert row["source"] == 'a "b",\nc=é.mp4'
    assert row["captured_at"] == event["captured_at"]
    assert float(row["media_time_s"]) == event["frame"]["media_time_s"]
    assert [float(row[f"box_{side}"]) for side in "xywh"] == event["face"]["box"]
    assert [float(row["nose_x"]), float(row["nose_y"])] == event["face"]["landmarks"][2]
    assert [float(row[f"p_{name}"]) for name in LABELS] == list(event["emotion"]["probabilities"].values())
    assert (row["label"], row["smoothed_label"]) == (event["emotion"]["label"], event["emotion"]["smoothed"]["label"])
    assert (row["model_name"], row["track_id"]) == ("emotion-edge", event["track"]["id"])


def test_changes_of_tracks_are_a_table_of_their_own(encoder: Encoder, tmp_path: Path) -> None:
    event = json.loads(encoder.encode(track_event(0)).payload)
    sink = write(tmp_path / "out.csv", encoder)
    assert sink.paths == (tmp_path / "out.csv", tmp_path / "out.tracks.csv")
    row = csv_rows(tmp_path / "out.tracks.csv")[0]
    assert list(row) == [column.name for column in TRACK_COLUMNS]
    assert row["change"] == event["change"]
    assert float(row["dwell_s"]) == event["dwell_s"]
    assert {name: float(row[f"share_{name}"]) for name in event["shares"]} == event["shares"]


def test_both_formats_hold_the_same_values(encoder: Encoder, tmp_path: Path) -> None:
    for name in ("a.csv", "b.parquet"):
        write(tmp_path / name, Encoder(node="n", boot_id="b", model=ModelRef("m", "1.0.0"), clock=SystemClock()))
    for read, stored in (("a.csv", "b.parquet"), ("a.tracks.csv", "b.tracks.parquet")):
        for text, typed in zip(csv_rows(tmp_path / read), parquet_rows(tmp_path / stored), strict=True):
            assert list(text) == list(typed)
            assert {name: shown(value) for name, value in typed.items()} == {name: as_float32(value) for name, value in text.items()}


def shown(value: Any) -> Any:
    """A value of a Parquet file as its CSV has it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return "" if value is None else float(np.float32(value)) if isinstance(value, int | float) else value


def as_float32(text: str) -> Any:
    try:
        return float(np.float32(text))
    except ValueError:
        return text


def test_a_parquet_file_has_types(encoder: Encoder, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "out.parquet", encoder)
    file = parquet.ParquetFile(tmp_path / "out.parquet")
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert list(types) == [column.name for column in FACE_COLUMNS]
    assert types["captured_at"] == "timestamp[ms, tz=UTC]"
    assert types["label"].startswith("dictionary<values=string")
    assert (types["p_happy"], types["media_time_s"], types["seq"]) == ("float", "double", "int64")
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    first = parquet_rows(tmp_path / "out.parquet")[0]
    assert first["captured_at"].astimezone(UTC).isoformat().startswith("2025-")
    assert first["source"] == 'a "b",\nc=é.mp4'


def test_a_face_that_was_not_classified_has_empty_cells(encoder: Encoder, tmp_path: Path) -> None:
    event = json.loads(encoder.encode(face_event(0)).payload)
    event["emotion"]["probabilities"] = None
    values = {column.name: column.value(event) for column in FACE_COLUMNS}
    assert {name for name, value in values.items() if value is None} >= UNCLASSIFIED
    assert values["label"] == event["emotion"]["label"]


def test_tables_without_events_have_their_columns(tmp_path: Path, encoder: Encoder) -> None:
    for name in ("out.csv", "out.parquet"):
        write(tmp_path / name, encoder, count=0)
    assert csv_rows(tmp_path / "out.csv") == []
    assert (tmp_path / "out.tracks.csv").read_text().startswith("camera,source,seq,")
    assert parquet_rows(tmp_path / "out.parquet") == []


def test_many_rows_become_row_groups_of_one_size(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    columns, rows = FACE_COLUMNS[:3], tmp_path / "rows.csv"
    count = 2 * ROWS_PER_GROUP + 5
    rows.write_text("camera,source,seq\n" + "".join(f"door{index % 3},a.mp4,{index}\n" for index in range(count)))
    write_parquet(rows, columns, tmp_path / "out.parquet")
    file = parquet.ParquetFile(tmp_path / "out.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [ROWS_PER_GROUP, ROWS_PER_GROUP, 5]
    assert file.read().column("seq").to_pylist() == list(range(count))
    assert file.read().column("camera").to_pylist()[-1] == f"door{(count - 1) % 3}"


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_nothing_is_under_the_name_of_a_table_before_it_is_finished(encoder: Encoder, tmp_path: Path, name: str) -> None:
    sink = TableSink(path=tmp_path / name)
    sink.open()
    sink.write(encoder.encode(face_event(0)))
    sink.flush(1)
    assert not (tmp_path / name).exists()
    sink.close()
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_an_older_table_stays_until_the_new_one_is_finished(encoder: Encoder, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    sink = TableSink(path=out)
    sink.open()
    sink.write(encoder.encode(face_event(0)))
    assert out.read_text() == "old"
    sink.finish()
    sink.close()
    assert len(csv_rows(out)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.tracks.csv"]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_table_can_be_continued_at_a_row(tmp_path: Path, name: str) -> None:
    def new_encoder() -> Encoder:
        return Encoder(node="n", boot_id="b", model=ModelRef("m", "1"), clock=SystemClock())

    write(tmp_path / f"whole-{name}", new_encoder(), count=6)
    out, encoder = tmp_path / name, new_encoder()
    first = TableSink(path=out)
    first.keep_unfinished()
    first.open()
    for index in range(4):
        if index == 3:
            sizes = first.sync()  # what follows is repeated
        message = encoder.encode(face_event(index)), encoder.encode(track_event(index))
        for part in message:
            first.write(part)
    first.close()
    second = TableSink(path=out, sizes=sizes)
    second.open()
    for part in message:
        second.write(part)
    for index in (4, 5):
        second.write(encoder.encode(face_event(index)))
        second.write(encoder.encode(track_event(index)))
    second.finish()
    second.close()
    assert out.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert tracks_path(out).read_bytes() == tracks_path(tmp_path / f"whole-{name}").read_bytes()


def test_rows_that_were_cut_off_cannot_be_continued(tmp_path: Path, encoder: Encoder) -> None:
    first = TableSink(path=tmp_path / "out.csv")
    first.keep_unfinished()
    first.open()
    first.write(encoder.encode(face_event(0)))
    sizes = first.sync()
    first.close()
    (tmp_path / "out.csv.rows.part").write_text("camera")
    with pytest.raises(OutputError, match="is shorter than when it was left"):
        TableSink(path=tmp_path / "out.csv", sizes=sizes).open()


def test_a_full_disk_is_one_error_and_leaves_no_table(encoder: Encoder, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    (tmp_path / "out.csv.rows.part").symlink_to("/dev/full")
    sink = TableSink(path=out)
    sink.open()
    sink.write(encoder.encode(face_event(0)))
    with pytest.raises(OutputError, match=r"cannot write the table .*out.csv: No space left on device"):
        sink.flush(1)
    with pytest.raises(OutputError, match="No space left on device"):
        sink.write(encoder.encode(face_event(1)))
    assert "No space left" in sink.status().reason
    with pytest.raises(OutputError, match="No space left on device"):
        sink.finish()
    sink.close()
    assert not out.exists()


@pytest.mark.parametrize("path", ["nowhere/out.csv", "out.csv"])
def test_a_table_that_cannot_be_opened_is_an_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError, match=r"No such file or directory|is a folder"):
        TableSink(path=tmp_path / path).open()


def test_a_name_with_another_ending_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the name of a table ends in .csv or .parquet"):
        TableSink(path=tmp_path / "out.xlsx")


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'ferstream\[parquet\]', or write a .csv file"):
        TableSink(path=tmp_path / "out.parquet")
    TableSink(path=tmp_path / "out.csv")


@pytest.mark.parametrize("columns", [FACE_COLUMNS, TRACK_COLUMNS])
def test_the_documentation_names_every_column(columns: tuple[Column, ...], root_dir: Path) -> None:
    rows = "".join(f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning} |\n" for column in columns)
    assert rows in (root_dir / "docs" / "replay.md").read_text(), rows
