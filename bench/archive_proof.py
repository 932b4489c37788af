"""Proves that ``ferstream archive`` writes the events of ``ferstream replay``, byte for byte, whatever is killed.

    python bench/archive_proof.py [--hours 2] [--fps 2] [--workers 1 2 5] [--ray] [--kills 50] [--driver-kills 10] [--full-disk]
        [--folder FOLDER] [--json FILE]

Makes the corpus of ``archive_corpus.py`` (mixed containers, one file damaged, one that is no video), replays it once, and analyses it as an
archive: with each number of local workers, on a Ray cluster of two nodes of this machine, with workers and drivers killed at random, and with
a disk that is full. After each run it compares all events with those of ``replay``, looks whether numbers of events are missing or doubled,
whether the bad file is named, and whether processes are left. All pictures are decoded; ``--fps`` says how many are analysed.

The full disk is a tmpfs that is too small and grows later; it needs root. ``--json`` writes what was seen after each run; ``--table FILE
--page docs/archive.md`` puts it into the documentation. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from archive_commands import MARK, ROOT, Command, Ended, differences, digest, end_in_order, lost_frames, put_into, run, size_of, still_there
from archive_corpus import CORRUPT, make_corpus

sys.path.insert(0, str(ROOT))


BETWEEN_KILLS_S = (0.3, 3.0)
"""Shortest and longest time between two killed workers."""
DRIVER_LIFE = (0.05, 0.7)
"""Shortest and longest life of a driver that is killed, as a share of a run that nobody disturbs."""


class Proof:
    """The runs over one corpus, and what was seen in each."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Make the corpus and replay it.

        Args:
            options: The command line.
        """
        self._options, self._random = options, random.Random(options.seed)
        self._folder: Path = options.folder
        self._corpus = self._folder / "corpus"
        self._replayed = self._folder / "replayed.jsonl"
        self.rows: list[dict[str, Any]] = []
        self.corpus = make_corpus(self._corpus, hours=options.hours, clips=options.clips)
        self._fps = ["--fps", str(options.fps)] if options.fps else []
        self._expected = self._replay()

    def workers(self, count: int) -> None:
        """Analyse with local workers."""
        with self._archive() as folder:
            self._add(f"{count} {'worker' if count == 1 else 'workers'}", folder, [self._run(folder, f"--workers={count}")])

    def ray(self) -> None:
        """Analyse on a Ray cluster of two nodes."""
        from tests.support.ray_cluster import ray_cluster

        mark = secrets.token_hex(8)
        with self._archive() as folder, ray_cluster(2, 2, environment={"PYTHONPATH": str(ROOT), MARK: mark}) as cluster:
            ended = self._run(folder, f"--ray={cluster.address}")
            left = len(still_there(mark, is_worker))
            self._add("Ray, two nodes", folder, [replace(ended, left=ended.left + left)])

    def killed_workers(self, kills: int, count: int = 2) -> None:
        """Kill workers at random, also while they start; begin another archive if one is finished too early."""
        left = kills
        while left:
            with self._archive() as folder:
                before = left
                command = self._start(folder, f"--workers={count}")
                while (ended := command.wait(self._random.uniform(*BETWEEN_KILLS_S))) is None:
                    victims = [pid for pid in command.children() if left and is_worker(pid)]
                    if victims:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(self._random.choice(victims), signal.SIGKILL)
                            left -= 1
                self._add(f"{before - left} workers killed", folder, [ended])

    def killed_drivers(self, kills: int, count: int = 2) -> None:
        """Kill the command at random and start it again; begin another archive if one is finished too early."""
        left, usual_s = kills, min(row["seconds"] for row in self.rows)
        while left:
            with self._archive() as folder:
                ends: list[Ended] = []
                while not ends or ends[-1].code < 0:
                    command = self._start(folder, f"--workers={count}")
                    ended = command.wait(usual_s * self._random.uniform(*DRIVER_LIFE) if left else None)
                    if ended is None:
                        command.kill()
                        left -= 1
                        ended = command.wait()
                        assert ended is not None
                    ends.append(ended)
                killed = len(ends) - 1
                self._add(f"{killed} driver{'s' if killed != 1 else ''} killed", folder, ends)

    def full_disk(self, count: int = 2) -> None:
        """Analyse on a disk with half the room, then go on when it has grown."""
        room = self.rows[0]["archive_bytes"] + self.rows[0]["event_bytes"]
        with self._archive() as folder, small_disk(folder.parent, room // 2) as grow:
            ends = [self._run(folder, f"--workers={count}")]
            grow(room * 4)
            ends.append(self._run(folder, f"--workers={count}"))
            self._add("disk full", folder, ends, full=ends[0].text.strip().splitlines()[-1:])

    def _replay(self) -> dict[str, Any]:
        about = self._folder / "replayed.json"
        key = {"fps": self._options.fps, "corpus": self.corpus}
        if about.is_file() and (stored := json.loads(about.read_text()))["key"] == key:
            return dict(stored["row"])
        words = ["replay", str(self._corpus), "--events", str(self._replayed), *self._fps]
        ended = run(words, self._folder / "replay.log")
        row: dict[str, Any] = {
            "seconds": round(ended.seconds, 1),
            "cpu_s": round(ended.cpu_s, 1),
            "code": ended.code,
            "lost": lost_frames(ended.text),
        }
        with self._replayed.open("rb") as file:
            row |= {"events": sum(1 for _ in file), "bytes": self._replayed.stat().st_size, "digest": digest(self._replayed)}
        about.write_text(json.dumps({"key": key, "row": row}))
        return row

    @contextmanager
    def _archive(self) -> Iterator[Path]:
        """An empty place for an archive and its events; removed afterwards."""
        place = self._folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        yield place / "archive"
        shutil.rmtree(place, ignore_errors=True)

    def _start(self, folder: Path, *words: str) -> Command:
        options = [f"--chunk-s={self._options.chunk_s}", *self._fps, "--events", str(folder.parent / "events")]
        return Command(["archive", str(folder), str(self._corpus), *options, *words], self._folder / "archive.log")

    def _run(self, folder: Path, *words: str) -> Ended:
        ended = self._start(folder, *words).wait()
        assert ended is not None
        return ended

    def _add(self, name: str, folder: Path, ends: list[Ended], **more: Any) -> None:
        """Compare what a run left, and write it down."""
        last, row = ends[-1], {"name": name, "seconds": round(sum(end.seconds for end in ends), 1)}
        row |= {"cpu_s": round(last.cpu_s, 1), "starts": len(ends), "codes": [end.code for end in ends], **more}
        row["faults"] = faults = self._faults(folder, ends)
        with contextlib.suppress(OSError, ValueError):
            report = json.loads((folder / "report.json").read_bytes())
            row |= {key: report[key] for key in ("recordings", "frames", "faces", "lost", "counts", "hosts")}
            row["whole"] = [Path(item["path"]).name for item in report["whole"]]
            row |= {"archive_bytes": size_of(folder), "event_bytes": size_of(folder.parent / "events")}
            row["chunk_bytes"] = size_of(folder / "chunks")
            row["parquet_bytes"] = size_of(folder / "events") + size_of(folder / "tracks") if (folder / "events").is_dir() else 0
        self.rows.append(row)
        print(line(row), flush=True)
        for fault in faults[:10]:
            print(f"    {fault}", flush=True)
        if faults:
            print("\n".join(f"    | {text}" for text in last.text.splitlines()[-12:]), flush=True)
        if self._options.json is not None:
            self._options.json.parent.mkdir(parents=True, exist_ok=True)
            self._options.json.write_text(json.dumps(self.result(), indent=1) + "\n")

    def _faults(self, folder: Path, ends: list[Ended]) -> list[str]:
        """Return what is not as it should be after a run."""
        found = [f"{end.left} processes are left" for end in ends if end.left]
        if ends[-1].code != self._expected["code"]:
            found.append(f"exit code {ends[-1].code}; {self._expected['code']} of replay")
        try:
            found += differences(folder, folder.parent / "events", self._replayed)
            report = json.loads((folder / "report.json").read_bytes())
        except (OSError, ValueError, KeyError) as exc:
            return [*found, f"cannot be compared: {exc}"]
        if [Path(item["path"]).name for item in report["left_out"]] != [Path(CORRUPT).name]:
            found.append(f"left out: {report['left_out']}")
        if report["failed"]:
            found.append(f"failed: {report['failed']}")
        if report["lost"] != self._expected["lost"]:
            found.append(f"{report['lost']} frames lost; {self._expected['lost']} in replay")
        found += [f"unfinished: {part}" for part in folder.parent.rglob("*.part")]
        return found

    def result(self) -> dict[str, Any]:
        """Return everything that was seen."""
        return {
            "hours": round(sum(row["seconds"] for row in self.corpus) / 3600, 3),
            "pictures": sum(row["pictures"] for row in self.corpus),
            "fps": self._options.fps,
            "chunk_s": self._options.chunk_s,
            "cores": len(os.sched_getaffinity(0)),
            "corpus": self.corpus,
            "replay": self._expected,
            "runs": self.rows,
        }


def is_worker(pid: int) -> bool:
    """Return whether a process is a worker of an archive."""
    try:
        return b"worker_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Any]:
    """Mount a file system of so many bytes at a folder; yields a function that gives it another size."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "ferstream-proof", str(place)], check=True)
    try:
        yield lambda wanted: subprocess.run(["mount", "-o", f"remount,size={wanted}", str(place)], check=True)
    finally:
        time.sleep(0.2)
        subprocess.run(["umount", "-l", str(place)], check=True)


def line(row: dict[str, Any]) -> str:
    """Return a run as a row of a table in Markdown."""
    state = "the same bytes" if not row["faults"] else f"**{len(row['faults'])} faults**"
    counts = row.get("counts", {})
    codes = sorted(set(row["codes"][:-1]))
    before = f", before that {', '.join(map(str, codes))}" if codes else ""
    replaced = counts.get("deaths", 0) + counts.get("crashes", 0)
    cells = (
        row["name"],
        f"{row['seconds']:.0f} s",
        f"{row.get('faces', 0):,}",
        replaced,
        row["starts"],
        f"{row['codes'][-1]}{before}",
        state,
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def table(result: dict[str, Any]) -> list[str]:
    """Return what was seen as Markdown, for docs/archive.md."""
    replay, share = result["replay"], f"{result['fps']:g} pictures a second" if result["fps"] else "every picture"
    about = (
        f"{len(result['corpus'])} recordings, {result['hours']:.2f} hours, {result['pictures']:,} pictures decoded, {share} analysed;"
        f" chunks of {result['chunk_s']:g} s; {result['cores']} cores. `replay`: {replay['seconds']:.0f} s, {replay['events']:,} events,"
        f" exit code {replay['code']}."
    )
    return [
        about,
        "",
        "| run | time | faces | workers replaced | starts | exit code | events |",
        "|---|---|---|---|---|---|---|",
        *(line(row) for row in result["runs"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--fps", type=float, default=2.0, help="pictures to analyse per second; 0 = all")
    parser.add_argument("--chunk-s", type=float, default=60.0)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 5])
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--kills", type=int, default=0, help="workers to kill")
    parser.add_argument("--driver-kills", type=int, default=0)
    parser.add_argument("--full-disk", action="store_true")
    parser.add_argument("--clips", type=Path, default=ROOT.parent / "shared/videos")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/ferstream-archive-proof"), help="corpus and replay are kept there")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, metavar="JSON", help="print what such a file of --json says, and run nothing")
    parser.add_argument("--page", type=Path, help="with --table: a page of the documentation, where it is put instead")
    options = parser.parse_args()
    if options.table is not None:
        lines = table(json.loads(options.table.read_text()))
        if options.page is None:
            print("\n".join(lines))
        else:
            put_into(options.page, "archive_proof", lines)
        return
    end_in_order()
    options.folder.mkdir(parents=True, exist_ok=True)
    proof = Proof(options)
    print("\n".join(table(proof.result())), flush=True)
    for count in options.workers:
        proof.workers(count)
    if options.ray:
        proof.ray()
    if options.kills:
        proof.killed_workers(options.kills)
    if options.driver_kills:
        proof.killed_drivers(options.driver_kills)
    if options.full_disk:
        proof.full_disk()
    if any(row["faults"] for row in proof.rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
