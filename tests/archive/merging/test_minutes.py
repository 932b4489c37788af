"""The summary by camera and minute: counts of the JSON lines, and of the frames without faces."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ferstream.archive.merging.merge import MergeOptions, merge_archive
from ferstream.archive.merging.minutes import ALL_LABELS, NS_PER_MINUTE, MinuteCounter
from ferstream.domain.event import TrackChange
from tests.archive.conftest import Replayed
from tests.support.archives import write_archive
from tests.support.builders import UTC_NS, labelled_frame, track_event

pytest.importorskip("pyarrow")
import pyarrow.parquet

BEGIN_NS = 1_764_028_790_000_000_000
"""10 s before 2025-11-25 00:00 UTC, so that the longest clip is of two days."""


@pytest.fixture(scope="module")
def archive(replayed: Replayed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the clips, all of which begin 10 s before midnight, that is merged."""
    folder = tmp_path_factory.mktemp("archive")
    recordings = [(replace(item.recording, utc_origin_ns=BEGIN_NS), [item.result]) for item in replayed.analysed]
    write_archive(folder, recordings, settings=replayed.settings, model=replayed.model)
    merge_archive(MergeOptions(archive=str(folder), events=folder / "jsonl"))
    return folder


def test_a_recording_over_midnight_has_a_file_for_each_day(archive: Path) -> None:
    folder = archive / "events" / "camera=sad_to_happy"
    files = [folder / f"date=2025-11-{day}" / "000003.parquet" for day in (24, 25)]

    days = [pyarrow.parquet.ParquetFile(file).read() for file in files]

    assert sorted(folder.rglob("*.parquet")) == files
    assert [{at.date().isoformat() for at in day["captured_at"].to_pylist()} for day in days] == [{"2025-11-24"}, {"2025-11-25"}]
    lines = (archive / "jsonl" / "sad_to_happy.jsonl").read_text().splitlines()
    assert [row["seq"] for day in days for row in day.to_pylist()] == list(range(len(lines)))


def test_the_summary_counts_what_is_in_the_json_lines(archive: Path, replayed: Replayed) -> None:
    rows = pyarrow.parquet.read_table(archive / "summary.parquet").to_pylist()

    for item in replayed.analysed:
        camera, at_ns = item.recording.camera, BEGIN_NS + item.result.frames.media_time_ns
        lines = [json.loads(line) for line in (archive / "jsonl" / f"{camera}.jsonl").read_text().splitlines()]
        frames = Counter((at_ns // NS_PER_MINUTE).tolist())
        minutes = [row for row in rows if row["camera"] == camera]
        assert [(row["minute"], row["frames"]) for row in minutes] == [(minute(number), count) for number, count in sorted(frames.items())]
        for row in minutes:
            of_minute = [
                line for line in lines if datetime.fromisoformat(line["captured_at"]).replace(second=0, microsecond=0) == row["minute"]
            ]
            assert_counts(row, of_minute)
    assert [row["camera"] for row in rows] == sorted(
        (row["camera"] for row in rows), key=[i.recording.camera for i in replayed.analysed].index
    )


def minute(number: int) -> datetime:
    return datetime.fromtimestamp(number * 60, UTC)


def assert_counts(row: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    """The numbers of a row are those of the lines of its minute."""
    seen = [line for line in lines if line["track"]["state"] != "left"]
    labels = Counter(line["emotion"]["label"] for line in seen)
    assert row["faces"] == len(seen)
    assert {label: row[label] for label in ALL_LABELS} == {label: labels[label] for label in ALL_LABELS}
    assert row["mean_faces"] == round(len(seen) / row["frames"], 3)
    assert row["appeared"] == sum(line["track"]["state"] == "appeared" for line in lines)
    assert row["left"] == sum(line["track"]["state"] == "left" for line in lines)


def test_the_frame_that_only_ends_tracks_is_not_counted() -> None:
    counter = MinuteCounter()
    counter.add(labelled_frame(0, labels=("happy", "sad"), changes=(track_event(), track_event(number=2))))
    counter.add(labelled_frame(0, labels=(), changes=(track_event(change=TrackChange.LEFT),), end_of_stream=True))

    (found,) = counter.minutes

    assert (found.number, found.frames, found.faces, found.appeared, found.left) == (UTC_NS // NS_PER_MINUTE, 1, 2, 2, 1)
    assert sum(found.labels) == 2
