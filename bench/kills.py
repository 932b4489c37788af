"""SIGKILL on a starved machine: how many seconds of events does a killed publisher lose?

    python bench/kills.py [--kills 20] [--load 8] [--threads 2] [--rate 200] [--json FILE]

Busy processes take all cores. Each round starts a publisher without a broker (the real sink and outbox), kills it after some seconds and
compares the file with what the publisher had made. The loss is the time in which the lost events were made: the promise is at most one second.
The age of the oldest lost event at the kill is written down too; it is longer where the whole process got no CPU time before the kill. Busy threads in the publisher stand for the stages of a daemon, which want the interpreter lock too.

Results (results/kills.json; 2 cores shared with other work at load 17 to 32; 8 busy processes, 2 busy threads, 20 kills): the lost events were made
in at most 0.60 s, the oldest was at most 0.79 s old. In results/kills_before.json (1.0.0) the oldest was 1.54 s old, and four kills of twenty lost more than one second.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from mqtt_output import mqtt_output
from outage import face_event

from ferstream.outbox.store import FILE_NAME

URL = "mqtt://127.0.0.1:9"
"""Nothing listens there."""


def publish(folder: Path, rate: float, threads: int) -> None:
    """Be the child: publish until it is killed; print number and monotonic time of each event once the outbox has it."""
    sink = mqtt_output(URL, folder, node="kills", boot_id="boot").sinks
    sink.open()
    for _ in range(threads):
        threading.Thread(target=spin, daemon=True).start()
    began, number, pause = time.monotonic(), 0, threading.Event()
    while True:
        pause.wait(max(0.0, began + number / rate - time.monotonic()))
        made_at = time.monotonic()
        sink.write(face_event(number))
        sys.stdout.write(f"{number} {made_at}\n")
        sys.stdout.flush()
        number += 1


def spin() -> None:
    """Use one core."""
    while True:
        pass


def stored(folder: Path) -> int:
    """Return how many events the file holds."""
    db = sqlite3.connect(folder / FILE_NAME)
    try:
        return int(db.execute("SELECT count(*) FROM events").fetchone()[0])
    finally:
        db.close()


def round_of(rate: float, threads: int, seconds: float) -> dict[str, float]:
    """Start, kill and compare once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "made").open("wb") as made:
            words = [sys.executable, __file__, "--child", name, "--rate", str(rate), "--threads", str(threads)]
            child = subprocess.Popen(words, stdout=made)
            until = time.monotonic() + 60
            while (folder / "made").stat().st_size == 0 and time.monotonic() < until:
                threading.Event().wait(0.05)
            threading.Event().wait(seconds)
            killed_at = time.monotonic()
            child.send_signal(signal.SIGKILL)
            child.wait()
        times = [float(line.split()[1]) for line in (folder / "made").read_text().splitlines(keepends=True) if line.endswith("\n")]
        kept = stored(folder)
    lost = max(0, len(times) - kept)
    lost_s = times[-1] - times[-lost] + 1 / rate if lost else 0.0
    age_s = killed_at - times[-lost] if lost else 0.0
    made_hz = len(times) / (times[-1] - times[0])
    return {"made": len(times), "made_hz": round(made_hz, 1), "lost": lost, "lost_s": round(lost_s, 3), "oldest_s": round(age_s, 3)}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Do all rounds beside the load."""
    load = [multiprocessing.Process(target=spin, daemon=True) for _ in range(options.load)]
    for process in load:
        process.start()
    rng = random.Random(8)
    try:
        rounds = []
        for number in range(options.kills):
            rounds.append(round_of(options.rate, options.threads, rng.uniform(2.0, 4.0)))
            print(number, rounds[-1], file=sys.stderr, flush=True)
    finally:
        for process in load:
            process.kill()
    lost = sorted(one["lost_s"] for one in rounds)
    return {
        "kills": options.kills,
        "load": options.load,
        "threads": options.threads,
        "rate_hz": options.rate,
        "lost_s": lost,
        "max_lost_s": lost[-1],
        "max_oldest_s": max(one["oldest_s"] for one in rounds),
        "over_one_second": sum(value > 1.0 for value in lost),
        "rounds": rounds,
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--load", type=int, default=8, help="busy processes")
    parser.add_argument("--threads", type=int, default=0, help="busy threads in the publisher, which want its interpreter lock")
    parser.add_argument("--rate", type=float, default=200.0, help="events per second")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        publish(options.child, options.rate, options.threads)
        return
    found = run(options)
    text = json.dumps(found, indent=2)
    print(json.dumps({key: value for key, value in found.items() if key != "rounds"}))
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
