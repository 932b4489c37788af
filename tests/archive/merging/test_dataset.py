"""The Parquet files of an archive: every value is that of the JSON lines of replay, and of its table of tracks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferstream.archive.merging.merge import MergeOptions, merge_archive
from tests.archive.conftest import Replayed
from tests.support.archives import write_archive

pytest.importorskip("pyarrow")
import pyarrow.dataset
import pyarrow.parquet

Json = dict[str, Any]


@pytest.fixture(scope="module")
def archive(replayed: Replayed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the clips that is merged."""
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder, [(item.recording, [item.result]) for item in replayed.analysed], settings=replayed.settings, model=replayed.model)
    merge_archive(MergeOptions(archive=str(folder)))
    return folder


def rows(archive: Path, folder: str, replayed: Replayed) -> Iterator[Json]:
    """All rows of a table in the order of the plan, with the columns of the folders."""
    for item in replayed.analysed:
        for date in sorted((archive / folder / f"camera={item.recording.camera}").glob("date=*")):
            for row in pyarrow.parquet.ParquetFile(date / f"{item.recording.number:06d}.parquet").read().to_pylist():
                yield {"camera": item.recording.camera, "date": date.name.removeprefix("date="), **row}


def single(value: Any) -> Any:
    """The value as the nearest float32; lists and numbers of a mapping too."""
    if isinstance(value, dict):
        return [single(item) for item in value.values()]
    if isinstance(value, list):
        return [single(item) for item in value]
    return None if value is None else float(np.float32(value))


def as_row(event: Json) -> Json:
    """The row of a face event, taken from its JSON one by one."""
    emotion, face = event["emotion"], event["face"]
    at = datetime.fromisoformat(event["captured_at"])
    return {
        "camera": event["camera"],
        "date": event["captured_at"][:10],
        "source": event["source"],
        "seq": event["seq"],
        "captured_at": at.astimezone(UTC),
        "frame_index": event["frame"]["index"],
        "media_time_s": event["frame"]["media_time_s"],
        "frame_width": event["frame"]["width"],
        "frame_height": event["frame"]["height"],
        "track_id": event["track"]["id"],
        "track_state": event["track"]["state"],
        "track_age_s": event["track"]["age_s"],
        "box": single(face["box"]),
        "score": single(face["score"]),
        "landmarks": [single(number) for point in face["landmarks"] for number in point],
        "label": emotion["label"],
        "confidence": single(emotion["confidence"]),
        "smoothed_label": emotion["smoothed"]["label"],
        "smoothed_confidence": single(emotion["smoothed"]["confidence"]),
        "abstained": emotion.get("abstained"),
        "probabilities": single(emotion["probabilities"]),
        "model_name": event["model"]["name"],
        "model_version": event["model"]["version"],
    }


def test_every_value_of_a_face_is_that_of_its_json_line(archive: Path, replayed: Replayed) -> None:
    lines = [json.loads(line) for line in replayed.events.read_text().splitlines()]

    assert list(rows(archive, "events", replayed)) == [as_row(line) for line in lines]
    assert {line["emotion"]["probabilities"] is None for line in lines} == {True, False}


def test_a_float_reads_as_it_is_written_in_json(archive: Path, replayed: Replayed) -> None:
    """A reader that shows float32 in its shortest form, as DuckDB and Polars do, shows the digits of the JSON."""
    lines = [json.loads(line) for line in replayed.events.read_text().splitlines()]
    scores = [row["score"] for row in rows(archive, "events", replayed)]

    assert [str(np.float32(score)) for score in scores] == [str(line["face"]["score"]) for line in lines]


def test_the_changes_of_tracks_are_those_of_the_table_of_replay(archive: Path, replayed: Replayed) -> None:
    table = pyarrow.parquet.read_table(replayed.table.with_name("faces.tracks.parquet")).to_pylist()

    merged = [{name: value for name, value in row.items() if name != "date"} for row in rows(archive, "tracks", replayed)]
    assert merged == table
    assert {row["change"] for row in merged} == {"appeared", "changed", "left"}


def test_all_files_are_one_dataset_with_camera_and_date(archive: Path, replayed: Replayed) -> None:
    dataset = pyarrow.dataset.dataset(archive / "events", partitioning="hive")

    assert dataset.count_rows() == len(replayed.events.read_text().splitlines())
    assert {"camera", "date"} <= set(dataset.schema.names)
