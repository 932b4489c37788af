"""Merges all recordings of an archive, one after the other or by several processes, and writes the summary. Main thread."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ferstream.app.privacy import refuse_single_faces
from ferstream.archive.chunk_file import FOLDER as CHUNKS
from ferstream.archive.done_file import FOLDER as DONE
from ferstream.archive.done_file import done_name
from ferstream.archive.merging.dataset import FACES, TRACKS, pyarrow
from ferstream.archive.merging.merge_workers import merged_by_processes
from ferstream.archive.merging.minutes import write_summary
from ferstream.archive.merging.queries import README, readme
from ferstream.archive.merging.recording_merge import MERGED, Merged, MergeJob, model_of, stored_minutes
from ferstream.archive.plan import Plan, PlannedRecording
from ferstream.archive.plan_file import read_plan, settings_of
from ferstream.archive.storage.lock import locked
from ferstream.archive.storage.store import LocalStore, Store
from ferstream.archive.storage.stores import open_store
from ferstream.errors import ConfigError, DataError, OutputError
from ferstream.runtime.program import command

SUMMARY = "summary.parquet"
SCRATCH = ".merging"
"""Folder of files that are not complete, in the folder of the archive."""
FOLDERS = frozenset({FACES.folder, TRACKS.folder, CHUNKS, DONE, MERGED, "plan", SCRATCH})
"""Folders of an archive."""
_NAMED = 5
"""Most recordings that one message names."""
_FRAMES_PER_PROCESS = 10_000
"""Pictures that take about as long to merge as a process takes to start: fewer are not worth one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """The options of ``ferstream archive merge``; see its ``--help``.

    Attributes:
        archive: The folder of the archive, or its URL.
        events: Folder of the JSON lines; None for none.
        tables: Whether Parquet files are written; None writes them unless there are JSON lines and pyarrow is not installed.
        workers: Processes that merge recordings; None for one per core, and fewer for little work.
    """

    archive: str
    events: Path | None = None
    tables: bool | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeHooks:
    """What a merge reports while it runs; main thread.

    Attributes:
        on_plan: Called with the plan, before the first recording.
        on_frames: Called now and then with the number of a recording and how many of its pictures are merged.
        on_merged: Called with each recording and its result, in any order.
    """

    on_plan: Callable[[Plan], None] = lambda plan: None
    on_frames: Callable[[int, int], None] = lambda number, frames: None
    on_merged: Callable[[PlannedRecording, Merged], None] = lambda recording, merged: None


@dataclass(slots=True)
class MergeReport:
    """What came of a merge.

    Attributes:
        has_tables: Whether there are Parquet files.
        recordings: Recordings that are merged, those of an earlier process included.
        reused: Those of an earlier process.
        failed: Recordings that could not be analysed.
        left_out: Files that the plan left out.
        frames: Analysed frames.
        faces: Faces in them.
        lost: Frames that were damaged or missing.
        minutes: Rows of the summary.
    """

    has_tables: bool = True
    recordings: int = 0
    reused: int = 0
    failed: int = 0
    left_out: int = 0
    frames: int = 0
    faces: int = 0
    lost: int = 0
    minutes: int = 0
    _damaged: list[str] = field(default_factory=list)
    _damaged_count: int = 0

    def add(self, merged: Merged) -> None:
        """Count a recording."""
        self.failed += bool(merged.failed)
        if merged.damaged:
            self._damaged_count += 1
            self._damaged = [*self._damaged, merged.damaged][:_NAMED]
        self.recordings += not merged.failed and not merged.damaged
        self.reused += merged.was_merged
        self.frames += merged.frames
        self.faces += merged.faces
        self.lost += merged.lost

    def check(self, archive: str) -> None:
        """Check that the results of all recordings could be used.

        Raises:
            DataError: Some are missing or damaged.
        """
        if self._damaged_count:
            more = self._damaged_count - len(self._damaged)
            which = "; ".join(self._damaged) + (f"; and {more} more" if more else "")
            raise DataError(f"results cannot be used: {which}. {command('archive', 'run', archive)} analyses them again, then merge again")


def merge_archive(options: MergeOptions, hooks: MergeHooks | None = None) -> MergeReport:
    """Merge all recordings of an archive whose chunks are analysed; go on where an earlier process ended.

    Args:
        options: The options.
        hooks: What is reported.

    Raises:
        ConfigError: There is no plan, not all recordings are analysed, the settings forbid events of single faces, or pyarrow is missing.
        DataError: Results are missing or damaged; all other recordings are merged.
        OutputError: A file cannot be written.
    """
    hooks = hooks or MergeHooks()
    has_tables = _has_tables(options)
    store = open_store(options.archive)
    plan = read_plan(store)
    settings = settings_of(plan)
    refuse_single_faces(settings, "archive merge")
    _check_events_folder(store, options.events)
    hooks.on_plan(plan)
    report = MergeReport(has_tables=has_tables, left_out=len(plan.left_out))
    with locked(store), _scratch(store) as scratch:
        check_analysed(store, plan, options.archive)
        if options.events is not None:
            _make_folder(options.events)
        job = MergeJob(
            store=store,
            plan=plan,
            settings=settings,
            model=model_of(plan),
            scratch=scratch,
            events=options.events,
            has_tables=has_tables,
            on_frames=hooks.on_frames,
        )
        for merged in _merged(job, options.workers or default_workers(plan.recordings)):
            report.add(merged)
            hooks.on_merged(plan.recordings[merged.number], merged)
        if has_tables:
            store.remove(SUMMARY)  # it would not have what was merged now
            report.check(options.archive)
            report.minutes = _write_summary(store, plan, scratch)
    report.check(options.archive)
    return report


def _has_tables(options: MergeOptions) -> bool:
    """Return whether Parquet files are written.

    Raises:
        ConfigError: They are wanted, and pyarrow is not installed.
    """
    if options.tables is False:
        return False
    try:
        pyarrow()
    except ConfigError:
        if options.tables or options.events is None:
            raise
        return False
    return True


def _check_events_folder(store: Store, events: Path | None) -> None:
    """Check that the JSON lines do not go to a folder of the archive that has other files.

    Raises:
        ConfigError: They do.
    """
    if events is None or not isinstance(store, LocalStore):
        return
    archive, folder = store.folder.resolve(), events.resolve()
    if folder.parent == archive and folder.name in FOLDERS:
        raise ConfigError(
            f"--events {events}: this folder of the archive has other files; give another one, such as {events.parent / 'jsonl'}"
        )


def check_analysed(store: Store, plan: Plan, archive: str) -> None:
    """Check that every recording of a plan is analysed, or known to fail.

    Raises:
        ConfigError: Some are not.
    """
    done = set(store.names(DONE))
    missing = [recording.source for recording in plan.recordings if done_name(recording.number) not in done]
    if missing:
        shown = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        raise ConfigError(
            f"{len(missing)} of {len(plan.recordings)} recordings are not analysed yet ({shown}); "
            f"{command('archive', 'run', archive)} does it"
        )


def default_workers(recordings: Iterable[PlannedRecording]) -> int:
    """Return how many processes merge recordings unless something else is asked for."""
    frames = sum(recording.frames for recording in recordings)
    return max(1, min(len(os.sched_getaffinity(0)), frames // _FRAMES_PER_PROCESS))


def _merged(job: MergeJob, workers: int) -> Iterator[Merged]:
    count = len(job.plan.recordings)
    if workers > 1 and count > 1:
        yield from merged_by_processes(job, min(workers, count))
    else:
        yield from map(job.merge, range(count))


def _write_summary(store: Store, plan: Plan, scratch: Path) -> int:
    path = scratch / SUMMARY
    rows = write_summary(((recording.camera, stored_minutes(store, recording.number)) for recording in plan.recordings), path)
    store.put(SUMMARY, path)
    store.write(README, readme(plan).encode())
    return rows


@contextmanager
def _scratch(store: Store) -> Iterator[Path]:
    """Yield a folder for files that are not complete; what an earlier process left in it is removed."""
    if isinstance(store, LocalStore):
        folder = store.folder / SCRATCH
        shutil.rmtree(folder, ignore_errors=True)
        _make_folder(folder)
    else:
        folder = Path(tempfile.mkdtemp(prefix="ferstream-merge-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"cannot make the folder {folder}: {exc.strerror}") from exc
