"""A merge on a disk that is full: one error, no part of a file under its name, and the same merge goes on later."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.archive.merging.merge import MergeOptions, merge_archive
from tests.archive.conftest import Replayed
from tests.support.archives import cut_into_chunks, write_archive
from tests.support.peak_memory import measure

_LIMITED = """
def work():
    import resource, signal
    from ferstream.archive.merging.merge import MergeOptions, merge_archive
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    events = Path(sys.argv[1]) / "jsonl" if sys.argv[3] == "jsonl" else None
    merge_archive(MergeOptions(archive=sys.argv[1], events=events, tables=events is None, workers=int(sys.argv[4])))
"""


@pytest.mark.parametrize(
    ("output", "limit", "workers"), [("jsonl", 20_000, 1), ("jsonl", 20_000, 2), ("tables", 20_000, 1), ("tables", 4_000, 1)]
)
def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path, replayed: Replayed, output: str, limit: int, workers: int) -> None:
    """The largest size of a file stands for a full disk."""
    pytest.importorskip("pyarrow")
    recordings = [(item.recording, cut_into_chunks(item.result, [0, 50])) for item in replayed.analysed]
    write_archive(tmp_path, recordings, settings=replayed.settings, model=replayed.model)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}

    measured = measure(_LIMITED, tmp_path, limit, output, workers)

    assert measured.error.startswith("OutputError: cannot write ")
    assert measured.error.endswith("File too large")
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert not [path for path in made if path.suffix == ".part" or (path.name.startswith(".") and path.name != ".lock")]
    assert not (tmp_path / "summary.parquet").exists()
    events = tmp_path / "jsonl"
    merge_archive(MergeOptions(archive=str(tmp_path), events=events))
    assert b"".join((events / f"{item.recording.camera}.jsonl").read_bytes() for item in replayed.analysed) == replayed.events.read_bytes()
