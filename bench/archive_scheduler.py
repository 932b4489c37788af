"""The scheduler of archives with simulated workers, in virtual time: how long 10,000 chunks take with failures, against the ideal.

    python bench/archive_scheduler.py [--workers N ...] [--chunks N] [--failing SHARE] [--json FILE.json] [--plot FILE.png]

The scheduler is the one that runs archives; only workers and time are simulated. Chunks take 60 s on average (48 to 72), workers need 3 s
to be ready. Of the tasks, ``--failing`` are in trouble: a third lose their worker half-way, a third fail at the end, a third are ten times
as slow. The ideal is the time of all chunks, divided among the workers: without trouble, and with the time that the trouble takes if
nobody ever waits (3.5 times the share in trouble: half a chunk, one chunk and nine chunks more, each for a third). Takes ten seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.support

from ferstream.archive.scheduling.actions import RecordingWork
from ferstream.archive.tasks import Task
from tests.support.simulated_workers import Fate, Script, Simulation

WORKERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
RECORDING = 60
"""Chunks of a recording of an hour."""
FRAMES = 1500
"""Pictures of a chunk on average."""
RATE = 25.0
"""Pictures per second of a worker."""
LOAD_S = 3.0
TROUBLE = (0.5 + 1 + 9) / 3
"""Chunks' time that a task in trouble takes more on average."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one simulation gave; times are virtual seconds, but for the scheduler's own."""

    workers: int
    failing: float
    seconds: float
    ideal_s: float
    efficiency: float
    efficiency_with_trouble: float
    busy: float
    submitted: int
    retries: int
    duplicates: int
    deaths: int
    most_open: int
    failed: int
    scheduler_us: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--failing", type=float, default=0.05)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rows = []
    for workers in options.workers:
        for failing in (0.0, options.failing):
            rows.append(simulated(workers, options.chunks, failing))
            print_row(rows[-1])
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if options.plot is not None:
        plot(rows, options.plot, options.chunks)


def simulated(workers: int, chunks: int, failing: float) -> Row:
    """Run one simulation; the same arguments give the same numbers, but for the time that the scheduler takes."""
    simulation = Simulation(recordings(chunks), workers=workers, script=Script(fate=fates(failing), load_s=LOAD_S, frames_per_s=RATE))
    result = simulation.run()
    check(simulation, chunks)
    ideal = LOAD_S + sum(sum(work.frames.values()) for work in recordings(chunks)) / RATE / workers
    counts = simulation.scheduler.counts
    return Row(
        workers=workers,
        failing=failing,
        seconds=round(result.seconds, 1),
        ideal_s=round(ideal, 1),
        efficiency=round(ideal / result.seconds, 4),
        efficiency_with_trouble=round((LOAD_S + (ideal - LOAD_S) * (1 + TROUBLE * failing)) / result.seconds, 4),
        busy=round(result.busy_s / (workers * result.seconds), 4),
        submitted=counts.submitted,
        retries=counts.retries,
        duplicates=counts.duplicates,
        deaths=counts.deaths,
        most_open=result.most_open,
        failed=len(result.failed),
        scheduler_us=round(result.scheduler_s / counts.submitted * 1e6, 1),
    )


def recordings(chunks: int) -> Iterator[RecordingWork]:
    """Yield recordings of an hour, whose chunks are 0.8 to 1.2 of the usual length."""
    lengths = random.Random(7)
    for number, first in enumerate(range(0, chunks, RECORDING)):
        count = min(RECORDING, chunks - first)
        frames = {chunk: round(FRAMES * lengths.uniform(0.8, 1.2)) for chunk in range(count)}
        yield RecordingWork(number=number, title=f"{number}.mp4", frames=frames)


def fates(failing: float) -> Any:
    """Return what happens to attempts: trouble for a share of them, drawn anew for each."""
    draw = random.Random(11)

    def fate(task: Task, attempt: int) -> Fate:
        if draw.random() >= failing:
            return Fate()
        return draw.choice([Fate("died", 0.5), Fate("failed"), Fate(slower=10.0)])

    return fate


def check(simulation: Simulation, chunks: int) -> None:
    """Check that every chunk was done exactly once, or its recording is named as failed.

    Raises:
        AssertionError: It was not.
    """
    result = simulation.result
    done = sum(len(set(files.values())) for files in result.closed.values())
    failed = sum(len(work.frames) for work in recordings(chunks) if work.number in result.failed)
    assert done + failed == chunks, f"{done} chunks done, {failed} in failed recordings, {chunks} planned"
    assert not result.closed.keys() & result.failed.keys()


def print_row(row: Row) -> None:
    """Print one simulation as a row of a table."""
    print(
        f"| {row.workers} | {row.failing:.0%} | {row.seconds / 3600:.2f} h | {row.ideal_s / 3600:.2f} h | {row.efficiency:.3f} | {row.efficiency_with_trouble:.3f} | {row.busy:.3f} "
        f"| {row.submitted} | {row.retries} | {row.duplicates} | {row.failed} | {row.most_open} | {row.scheduler_us:.0f} us |",
        flush=True,
    )


def plot(rows: list[Row], path: Path, chunks: int) -> None:
    """Draw the speed-up against the number of workers, and what a task costs the scheduler."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    counts = sorted({row.workers for row in rows})
    base = next(row.ideal_s - LOAD_S for row in rows if row.workers == counts[0]) * counts[0]
    calm, troubled = ([row for row in rows if row.failing == failing] for failing in sorted({row.failing for row in rows})[:2])
    share = f"{troubled[0].failing:.0%} of the tasks in trouble"
    figure, (speed, ideal, cost) = pyplot.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
    speed.plot(counts, counts, color="0.6", linestyle="--", label="ideal")
    for some, colour, label in ((calm, "tab:blue", "no trouble"), (troubled, "tab:orange", share)):
        speed.plot([row.workers for row in some], [base / row.seconds for row in some], "o-", color=colour, label=label)
        cost.plot([row.workers for row in some], [row.scheduler_us for row in some], "o-", color=colour, label=label)
        ideal.plot([row.workers for row in some], [100 * row.efficiency for row in some], "o-", color=colour, label=label)
    with_trouble = [100 * row.efficiency_with_trouble for row in troubled]
    ideal.plot(counts, with_trouble, "o:", color="tab:orange", label="the same, of the ideal with trouble")
    speed.set(yscale="log", ylabel="times as fast as one worker", title=f"{chunks:,} chunks of a minute")
    ideal.set(ylabel="percent", title="share of the ideal speed", ylim=(0, 105))
    cost.set(ylabel="microseconds", title="CPU time of the scheduler for each task", ylim=(0, None))
    for axes in (speed, ideal, cost):
        axes.set(xscale="log", xlabel="workers", xticks=[1, 10, 100, 1000], xticklabels=["1", "10", "100", "1,000"])
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    speed.set(yticks=[1, 10, 100, 1000], yticklabels=["1", "10", "100", "1,000"])
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
