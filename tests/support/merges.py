"""Archives of the clips, and what a merge makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ferstream.archive.merging.merge import MergeHooks, MergeOptions, MergeReport, merge_archive
from ferstream.archive.merging.recording_merge import Merged
from ferstream.archive.plan import Plan
from tests.archive.conftest import Replayed
from tests.support.archives import cut_into_chunks, write_archive


def archive(folder: Path, replayed: Replayed, starts: Sequence[int] = (0, 50), **values: Any) -> Plan:
    """Write an archive of the clips, cut at these frames."""
    recordings = [
        (
            replace(item.recording, **values),
            cut_into_chunks(item.result, [start for start in starts if start < len(item.result.frames.index)]),
        )
        for item in replayed.analysed
    ]
    return write_archive(folder, recordings, settings=replayed.settings, model=replayed.model)


def merge(folder: Path | str, **options: Any) -> tuple[MergeReport, list[Merged]]:
    """Merge an archive; return the report and the results of the recordings."""
    seen: list[Merged] = []
    given: dict[str, Any] = {"tables": False, "events": Path(folder) / "jsonl"} | options
    report = merge_archive(MergeOptions(archive=str(folder), **given), MergeHooks(on_merged=lambda _, merged: seen.append(merged)))
    return report, seen


def joined(events: Path, replayed: Replayed) -> bytes:
    """The files of the events in the order of the plan."""
    return b"".join((events / f"{item.recording.camera}.jsonl").read_bytes() for item in replayed.analysed)


def tree(folder: Path) -> dict[str, bytes]:
    """Name and content of all files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
