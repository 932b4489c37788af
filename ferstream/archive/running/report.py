"""What a run of an archive did, left out and lost: ``report.json`` and the summary for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from ferstream.archive.done_file import DoneRecording
from ferstream.archive.plan import LeftOut, PlannedRecording
from ferstream.archive.scheduling.actions import Counts
from ferstream.archive.storage.store import Store
from ferstream.errors import ExitCode

REPORT = "report.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Named:
    """A recording and what is to be said of it.

    Attributes:
        recording: Its number in the plan.
        path: Where it is.
        text: What is to be said.
    """

    recording: int
    path: str
    text: str


@dataclass(slots=True)
class HostWork:
    """What the workers of one machine did.

    Attributes:
        tasks: Tasks with a result.
        frames: Pictures that were decoded.
        seconds: How long the workers had these tasks, added up.
    """

    tasks: int = 0
    frames: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Frames per second of one worker."""
        return self.frames / self.seconds if self.seconds else 0.0


@dataclass(slots=True, kw_only=True)
class RunReport:
    """What was done in an archive, by this run and those before it.

    Attributes:
        recordings: Recordings of the plan.
        analysed: Recordings that are analysed.
        left_out: Files that are not part of the archive.
        failed: Recordings that failed in this run.
        whole: Divided recordings that were read as a whole, and why.
        lossy: Recordings with lost frames.
        frames: Pictures that were decoded.
        faces: Faces that were found.
        lost: Frames that were damaged or missing.
        size: Bytes of the results.
        seconds: How long the runs took.
        runs: Number of runs.
        error: Why this run ended before its end; empty if it did not.
        counts: What happened in this run.
        hosts: What the machines did, by name, in this run and those before.
    """

    recordings: int
    analysed: int = 0
    left_out: tuple[LeftOut, ...] = ()
    failed: list[Named] = field(default_factory=list)
    whole: list[Named] = field(default_factory=list)
    lossy: list[Named] = field(default_factory=list)
    frames: int = 0
    faces: int = 0
    lost: int = 0
    size: int = 0
    seconds: float = 0.0
    runs: int = 1
    error: str = ""
    counts: Counts = field(default_factory=Counts)
    hosts: dict[str, HostWork] = field(default_factory=dict)

    @property
    def remaining(self) -> int:
        """Recordings that are neither analysed nor failed."""
        return self.recordings - self.analysed - len(self.failed)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of a run that came to its end."""
        if self.failed or self.left_out:
            return ExitCode.SOURCE
        return ExitCode.FRAMES_LOST if self.lost else ExitCode.OK

    def add(self, recording: PlannedRecording, done: DoneRecording) -> None:
        """Add a recording that is analysed, by this run or one before."""
        self.analysed += 1
        self.frames += done.frames
        self.faces += done.faces
        self.lost += done.lost
        self.size += done.size
        if done.whole and recording.is_divided:
            self.whole.append(Named(recording.number, recording.path, done.reason))
        if done.lost:
            self.lossy.append(Named(recording.number, recording.path, _count(done.lost, "frame")))

    def add_task(self, host: str, frames: int, seconds: float) -> None:
        """Add a task that gave a result."""
        work = self.hosts.setdefault(host, HostWork())
        work.tasks += 1
        work.frames += frames
        work.seconds += seconds


def write_report(store: Store, report: RunReport) -> None:
    """Write ``report.json``.

    Raises:
        OutputError: It cannot be written.
    """
    numbers = asdict(report) | {"remaining": report.remaining, "exit_code": int(report.exit_code)}
    for name, work in report.hosts.items():
        numbers["hosts"][name]["frames_per_second"] = round(work.rate, 2)
    store.write(REPORT, json.dumps({"format": FORMAT} | numbers, indent=1).encode())


@dataclass(slots=True)
class Earlier:
    """What a report of an earlier run says that a later one goes on with.

    Attributes:
        hosts: What the machines did.
        seconds: How long the runs took.
        size: Bytes of the results.
        frames: Pictures that were decoded for these results.
        runs: Number of runs.
    """

    hosts: dict[str, HostWork] = field(default_factory=dict)
    seconds: float = 0.0
    size: int = 0
    frames: int = 0
    runs: int = 0

    @property
    def rate(self) -> float:
        """Frames per second of one worker; 0 if unknown."""
        seconds = sum(work.seconds for work in self.hosts.values())
        return sum(work.frames for work in self.hosts.values()) / seconds if seconds else 0.0


def read_earlier(store: Store) -> Earlier:
    """Read ``report.json``; one that is missing, damaged or of another version says nothing."""
    try:
        stored = json.loads(store.read(REPORT))
        if stored["format"] != FORMAT:
            return Earlier()
        hosts = {name: HostWork(int(work["tasks"]), int(work["frames"]), float(work["seconds"])) for name, work in stored["hosts"].items()}
        return Earlier(hosts, float(stored["seconds"]), int(stored["size"]), int(stored["frames"]), int(stored["runs"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return Earlier()


def summary(report: RunReport) -> list[str]:
    """Return the lines for people at the end of a run."""
    found = f"{_count(report.frames, 'frame')}, {_count(report.faces, 'face')}"
    lines = [f"{report.analysed:,} of {_count(report.recordings, 'recording')} analysed: {found}"]
    lines += _section("read as a whole", report.whole)
    lines += _section("FAILED", report.failed)
    lines += _section("left out", (Named(-1, item.path, item.reason) for item in report.left_out))
    lines += _section("frames LOST", report.lossy)
    counts = report.counts
    happened = [
        (counts.retries, "attempt repeated", "attempts repeated"),
        (counts.deaths + counts.crashes, "worker ended and was replaced", "workers ended and were replaced"),
        (counts.duplicates, "slow task given to another worker too", "slow tasks given to another worker too"),
    ]
    lines += [f"  {number:,} {one if number == 1 else many}" for number, one, many in happened if number]
    if len(report.hosts) > 1:
        lines += [f"  {name}: {work.rate:.1f} frames/s of a worker, {work.tasks:,} tasks" for name, work in sorted(report.hosts.items())]
    return lines


MOST_NAMED = 20
"""Recordings that the summary names of each kind; ``report.json`` has all."""


def _section(title: str, items: Iterable[Named]) -> list[str]:
    listed = list(items)
    lines = [f"  {title}: {item.path}: {item.text}" for item in listed[:MOST_NAMED]]
    if len(listed) > MOST_NAMED:
        lines.append(f"  {title}: {len(listed) - MOST_NAMED:,} more, see {REPORT}")
    return lines


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
