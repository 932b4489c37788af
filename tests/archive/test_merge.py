"""Merging an archive: the events of replay, byte for byte, whatever the chunks are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ferstream.archive.merge import MergeOptions, merge_archive
from tests.archive.conftest import Replayed
from tests.support.archives import cut_into_chunks, write_archive


def archive(folder: Path, replayed: Replayed, starts: Sequence[int]) -> Path:
    """An archive of the clips, cut at these frames."""
    recordings = [
        (item.recording, cut_into_chunks(item.result, [start for start in starts if start < len(item.result.frames.index)]))
        for item in replayed.analysed
    ]
    write_archive(folder, recordings, settings=replayed.settings, model=replayed.model)
    return folder


def joined(events: Path, replayed: Replayed) -> bytes:
    """The files of the events in the order of the plan."""
    return b"".join((events / f"{item.recording.camera}.jsonl").read_bytes() for item in replayed.analysed)


@pytest.mark.parametrize("starts", [[0], [0, 50], [0, 1, 2, 40, 86], list(range(0, 472, 7))])
@pytest.mark.parametrize("has_tables", [False, True])
def test_the_events_are_those_of_replay(tmp_path: Path, replayed: Replayed, starts: list[int], has_tables: bool) -> None:
    folder = archive(tmp_path / "archive", replayed, starts)

    merge_archive(MergeOptions(archive=str(folder), events=tmp_path / "events", has_tables=has_tables))

    assert joined(tmp_path / "events", replayed) == replayed.events.read_bytes()
