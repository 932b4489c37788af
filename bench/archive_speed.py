"""Speed of ``ferstream archive`` beside that of ``ferstream replay``, in turns within one run; and what planning and merging take.

    python bench/archive_speed.py [--turns 5] [--hours 0.5] [--fps 0] [--folder FOLDER] [--json FILE]

Each turn runs four times over the same recordings: one ``replay``; ``archive run`` with one worker; two ``replay`` side by side, each over a copy
of the recordings; ``archive run`` with two workers over both copies. The order changes from turn to turn. A ratio is that of the pictures per
second of one turn, start of all processes included; the medians count. Planning and merging are measured once over ``--hours`` of the corpus,
as a share of the time of the run between them, with the bytes of what is left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from archive_commands import ROOT, Command, Ended, end_in_order, plan_of, put_into, run, size_of
from archive_corpus import CORRUPT, make_corpus

RECORDINGS = (
    "hall/lobby.mp4",
    "hall/door.mkv",
    "yard/lobby.mp4",
    "yard/garden.webm",
    "yard/stream.flv",
    "phone/uneven.mp4",
    "gate/overhead.mp4",
)
"""Recordings of the turns: divided ones, so that the end of one that cannot be divided decides nothing."""
OVERHEAD_LIMIT, ONE_LIMIT, TWO_LIMIT = 0.05, 0.95, 0.93


class Turns:
    """Runs in turns over two copies of some recordings."""

    def __init__(self, folder: Path, *, fps: float, chunk_s: float) -> None:
        """Nothing is run yet.

        Args:
            folder: For the recordings, and for what is written.
            fps: Pictures to analyse per second; 0 for all.
            chunk_s: Length of chunks in seconds.
        """
        self._folder, self._fps, self._chunk_s = folder, [f"--fps={fps:g}"], f"--chunk-s={chunk_s:g}"
        self.pictures = 0

    def prepare(self, clips: Path) -> None:
        """Make the recordings and their copies, and plan both archives."""
        rows = {row["name"]: row for row in make_corpus(self._folder / "corpus", hours=0.1, clips=clips)}
        self.pictures = sum(rows[name]["pictures"] for name in RECORDINGS)
        for copy in ("one", "two"):
            for name in RECORDINGS:
                target = self._folder / copy / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._folder / "corpus" / name, target)

    def turn(self, number: int) -> dict[str, float]:
        """Run all four; return pictures per second and CPU seconds of each."""
        kinds = [("replay", 1), ("archive", 1), ("replay", 2), ("archive", 2)]
        if number % 2:
            kinds = [kinds[1], kinds[0], kinds[3], kinds[2]]
        found: dict[str, float] = {}
        for kind, count in kinds:
            seconds, cpu_s = self._replay(count) if kind == "replay" else self._archive(count)
            found[f"{kind}_{count}"] = round(count * self.pictures / seconds, 2)
            found[f"{kind}_{count}_cpu_s"] = round(cpu_s, 1)
        for count in (1, 2):
            found[f"ratio_{count}"] = round(found[f"archive_{count}"] / found[f"replay_{count}"], 4)
            found[f"cpu_ratio_{count}"] = round(found[f"archive_{count}_cpu_s"] / found[f"replay_{count}_cpu_s"], 4)
        return found

    def _replay(self, count: int) -> tuple[float, float]:
        began = time.monotonic()
        commands = []
        for copy in ("one", "two")[:count]:
            words = ["replay", str(self._folder / copy), "--events", str(self._folder / f"{copy}.jsonl"), *self._fps]
            commands.append(Command(words, self._folder / f"{copy}.log"))
        ends = [checked(command.wait()) for command in commands]
        return time.monotonic() - began, sum(end.cpu_s for end in ends)

    def _archive(self, count: int) -> tuple[float, float]:
        archive, log = self._folder / "archive", self._folder / "archive.log"
        shutil.rmtree(archive, ignore_errors=True)
        sources = [str(self._folder / copy) for copy in ("one", "two")[:count]]
        checked(run(["archive", "plan", *sources, "--out", str(archive), self._chunk_s, *self._fps], log))
        end = checked(run(["archive", "run", str(archive), f"--workers={count}", "-q"], log))
        return end.seconds, end.cpu_s


def checked(end: Ended | None) -> Ended:
    """Return how a command ended, which it did without an error."""
    assert end is not None
    assert end.code == 0, f"exit code {end.code}: {end.text}"
    return end


def overhead(folder: Path, *, hours: float, clips: Path, fps: float, chunk_s: float) -> dict[str, Any]:
    """Plan, run and merge the sound recordings of a corpus; say what each step took and what is left behind."""
    corpus, archive, events = folder / "long", folder / "long-archive", folder / "long-events"
    rows = make_corpus(corpus, hours=hours, clips=clips)
    sound = [str(corpus / row["name"]) for row in rows if not row["name"].startswith(("gate/damaged", CORRUPT))]
    for place in (archive, events):
        shutil.rmtree(place, ignore_errors=True)
    log = folder / "long.log"
    steps = {
        "plan": checked(run(["archive", "plan", *sound, "--out", str(archive), f"--chunk-s={chunk_s:g}", f"--fps={fps:g}"], log)),
        "run": checked(run(["archive", "run", str(archive), "-q"], log)),
        "merge": checked(run(["archive", "merge", str(archive), "--events", str(events), "-q"], log)),
    }
    report, plan = json.loads((archive / "report.json").read_bytes()), plan_of(archive)
    media_s = sum(recording["duration_s"] for recording in plan["recordings"])
    sizes = {
        "plan": size_of(archive / "plan") + (archive / "plan.json").stat().st_size,
        "chunks": size_of(archive / "chunks"),
        "parquet": size_of(archive / "events") + size_of(archive / "tracks"),
        "events": size_of(events),
    }
    spent = steps["plan"].seconds + steps["merge"].seconds
    spent_cpu = steps["plan"].cpu_s + steps["merge"].cpu_s
    return {
        "recordings": len(plan["recordings"]),
        "chunks": sum(recording["chunks"] for recording in plan["recordings"]),
        "media_s": round(media_s, 1),
        "frames": report["frames"],
        "faces": report["faces"],
        "seconds": {name: round(step.seconds, 2) for name, step in steps.items()},
        "cpu_s": {name: round(step.cpu_s, 2) for name, step in steps.items()},
        "share": round(spent / steps["run"].seconds, 4),
        "cpu_share": round(spent_cpu / steps["run"].cpu_s, 4),
        "frames_per_cpu_s": round(report["frames"] / steps["run"].cpu_s, 1),
        "bytes": sizes,
        "bytes_per_face": {name: round(size / max(1, report["faces"]), 1) for name, size in sizes.items()},
        "mb_per_hour": {name: round(size / media_s * 3600 / 1e6, 2) for name, size in sizes.items()},
    }


def table(result: dict[str, Any]) -> list[str]:
    """Return what was seen as Markdown, for docs/archive.md."""
    lines = ["| | goal | seen |", "|---|---|---|"]
    if result["turns"]:
        for count, limit in ((1, ONE_LIMIT), (2, TWO_LIMIT)):
            ratios, cpu = ([turn[f"{kind}_{count}"] for turn in result["turns"]] for kind in ("ratio", "cpu_ratio"))
            rates = [statistics.median(turn[f"{kind}_{count}"] for turn in result["turns"]) for kind in ("archive", "replay")]
            name = "one worker / one `replay`" if count == 1 else "two workers / two `replay` side by side"
            lines.append(
                f"| {name} | >= {limit} | {rates[0]:.0f} / {rates[1]:.0f} pictures/s; **{statistics.median(ratios):.3f}**"
                f" ({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} turns), CPU {statistics.median(cpu):.3f} |"
            )
    if found := result["overhead"]:
        seconds, cpu = found["seconds"], found["cpu_s"]
        lines.append(
            f"| planning and merging / run | <= {OVERHEAD_LIMIT} | {seconds['plan']:.1f} + {seconds['merge']:.1f} s / {seconds['run']:.0f} s ="
            f" **{found['share']:.3f}**; CPU {cpu['plan']:.1f} + {cpu['merge']:.1f} s / {cpu['run']:.0f} s = {found['cpu_share']:.3f} |"
        )
        for name, text in (("chunks", "results"), ("parquet", "Parquet"), ("events", "JSON lines"), ("plan", "plan")):
            each = f"{found['bytes_per_face'][name]:,.0f} bytes a face, " if name != "plan" else ""
            lines.append(f"| {text} | | {each}{found['mb_per_hour'][name]:.2f} MB an hour of video |")
    return lines + (costs(found) if found else [])


def costs(found: dict[str, Any], hours: float = 1000.0) -> list[str]:
    """Return what so many hours of such recordings would cost, computed from the measured rates."""
    share = hours * 3600 / found["media_s"]
    cpu_h = {name: share * value / 3600 for name, value in found["cpu_s"].items()}
    rows = [
        f"| {machines} x {cores} cores | {length(cpu_h['run'] / machines / cores)} |"
        for machines, cores in ((1, 2), (1, 16), (10, 16), (100, 16))
    ]
    about = (
        f"Computed for {hours:,.0f} hours ({share * found['frames'] / 1e6:,.0f} million pictures, {share * found['faces'] / 1e6:,.0f} million faces):"
        f" {cpu_h['run']:,.0f} core hours to analyse, {cpu_h['plan']:,.1f} to plan, {cpu_h['merge']:,.1f} to merge. Below: no machine ever waits; start and the longest chunk at the end come on top."
    )
    return [
        "",
        about,
        "",
        "| machines | time to analyse (computed) |",
        "|---|---|",
        *rows,
    ]


def length(hours: float) -> str:
    """Return a time for people."""
    return f"{hours:,.1f} h" if hours >= 2 else f"{hours * 60:,.0f} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--hours", type=float, default=0.5, help="length of the corpus for planning and merging; 0 = not measured")
    parser.add_argument("--fps", type=float, default=0.0, help="pictures to analyse per second; 0 = all")
    parser.add_argument("--chunk-s", type=float, default=60.0)
    parser.add_argument("--clips", type=Path, default=ROOT.parent / "shared/videos")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/ferstream-archive-speed"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, metavar="JSON", help="print what such a file of --json says, and run nothing")
    parser.add_argument("--page", type=Path, help="with --table: a page of the documentation, where it is put instead")
    options = parser.parse_args()
    if options.table is not None:
        lines = table(json.loads(options.table.read_text()))
        if options.page is None:
            print("\n".join(lines))
        else:
            put_into(options.page, "archive_speed", lines)
        return
    end_in_order()
    options.folder.mkdir(parents=True, exist_ok=True)
    turns = Turns(options.folder, fps=options.fps, chunk_s=options.chunk_s)
    turns.prepare(options.clips)
    result: dict[str, Any] = {
        "fps": options.fps,
        "chunk_s": options.chunk_s,
        "cores": len(os.sched_getaffinity(0)),
        "pictures": turns.pictures,
    }
    result |= {"turns": [], "overhead": {}}
    for number in range(options.turns):
        result["turns"].append(turns.turn(number))
        print(json.dumps(result["turns"][-1]), flush=True)
    if options.hours:
        how = {"clips": options.clips, "fps": options.fps, "chunk_s": options.chunk_s}
        result["overhead"] = overhead(options.folder, hours=options.hours, **how)
    print("\n".join(table(result)))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
