"""Memory of a merge: flat in the number of recordings and in the length of a recording. No library of networks is imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.archive.conftest import Replayed
from tests.support.archives import empty_result, planned, write_archive
from tests.support.big_archives import repeated
from tests.support.peak_memory import measure

_MERGE = """
def work():
    from ferstream.archive.merging.merge import MergeOptions, merge_archive
    merge_archive(MergeOptions(archive=sys.argv[1], events=Path(sys.argv[1]) / "jsonl", tables=sys.argv[2] == "tables"))
    for name in ("openvino", "tensorflow", "keras"):
        assert name not in sys.modules, name
"""
ALLOWED_MB = 12.0
"""Difference of two peaks: one row group of Parquet that is filled in the longer one only, and what the allocator keeps."""


def peak_mb(folder: Path, *, tables: bool) -> float:
    """The peak memory of a process that merges an archive."""
    measured = measure(_MERGE, folder, "tables" if tables else "none")
    assert measured.error == ""
    return measured.peak_mb


def one_recording(folder: Path, replayed: Replayed, chunks: int) -> Path:
    """An archive of one recording of many chunks."""
    clip = replayed.analysed[0]
    write_archive(folder, [(clip.recording, list(repeated(clip.result, chunks)))], settings=replayed.settings, model="m/1")
    return folder


def many_recordings(folder: Path, replayed: Replayed, count: int) -> Path:
    """An archive of many recordings without faces."""
    recordings = [(planned(number, f"door-{number}", frames=5), [empty_result(number, frames=5)]) for number in range(count)]
    write_archive(folder, recordings, settings=replayed.settings, model="m/1")
    return folder


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_recording(tmp_path: Path, replayed: Replayed) -> None:
    pytest.importorskip("pyarrow")
    some, more = (peak_mb(one_recording(tmp_path / str(chunks), replayed, chunks), tables=True) for chunks in (200, 600))

    assert more - some < ALLOWED_MB


def test_memory_does_not_grow_with_the_number_of_recordings(tmp_path: Path, replayed: Replayed) -> None:
    some, more = (peak_mb(many_recordings(tmp_path / str(count), replayed, count), tables=False) for count in (20, 600))

    assert more - some < ALLOWED_MB


def test_no_network_is_loaded(tmp_path: Path, replayed: Replayed) -> None:
    clip = replace(replayed.analysed[4].recording, number=0)
    write_archive(tmp_path, [(clip, [replace(replayed.analysed[4].result, recording=0)])], settings=replayed.settings, model="m/1")

    assert measure(_MERGE, tmp_path, "none").error == ""
