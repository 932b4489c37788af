"""Adds and removes a camera by reloading the settings, again and again, and measures what is left behind.

    python bench/reloads.py --turns 30 --json bench/results/reloads.json

Free memory goes back to the system once a minute, and each new camera takes some again, so what tells of a leak is the
lowest memory of the first half against that of the second; threads and files must not grow at all.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
from pathlib import Path
from typing import Any

from harness import CLIP, PAUSE, daemon, free_port, mosquitto, save, say, usage, write_settings

SETTLED_S = 4.0
"""Time for a camera to come or to go."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30, help="how often the camera comes and goes")
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferstream-reloads-") as name:
        save(measure(options, Path(name)), options.json)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the daemon with one camera, and with two in turns; return the report."""
    broker, http = mosquitto(folder, free_port()), free_port()
    process = daemon(folder, http)

    def write(cameras: int) -> None:
        blocks = (
            f'[[cameras]]\nname = "cam{n}"\nsource = "{CLIP}"\nrealtime = true\nloop = true\nanalysis_fps = 4\n' for n in range(cameras)
        )
        write_settings(folder, cameras="".join(blocks), broker=broker.port, http=http, model=options.model)

    broker.start()
    write(1)
    process.start()
    seen = []
    try:
        for turn in range(1, options.turns + 1):
            for cameras in (2, 1):
                write(cameras)
                process.send(signal.SIGHUP)
                PAUSE.wait(SETTLED_S)
            seen.append(usage(process.pid))
            say(f"{turn} turns, {seen[-1].rss_mb:.0f} MB, {seen[-1].threads} threads, {seen[-1].files} files")
    finally:
        code = process.end(signal.SIGTERM)
        broker.end()
    halves = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    return {
        "turns": options.turns,
        "lowest_rss_mb_of_each_half": [round(min((one.rss_mb for one in half), default=0.0), 1) for half in halves],
        "highest_rss_mb_of_each_half": [round(max((one.rss_mb for one in half), default=0.0), 1) for half in halves],
        "threads": [seen[0].threads, seen[-1].threads],
        "files": [seen[0].files, seen[-1].files],
        "exit_code": code,
    }


if __name__ == "__main__":
    main()
