"""Cuts an RTSP stream again and again at random moments and looks what stays behind.

    python bench/cuts.py --cuts 200

The server is killed, left dead for 0.1 to 5 s (drawn), started again; the camera must come back
each time. Threads, file handles and memory at the end are compared with those after the first cuts.
``reconnect_max_s`` is 2, so that 200 cuts take minutes and not hours.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import (
    PAUSE,
    camera,
    clip_of,
    daemon,
    free_port,
    mosquitto,
    rtsp_server,
    save,
    say,
    scrape,
    subscriber,
    total,
    usage,
    write_settings,
)

BACK_WITHIN_S = 90.0
SETTLE_CUTS = 10
"""Cuts before the first weighing: code paths and allocator arenas of reconnecting are used once by then."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="emotion-edge")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferstream-cuts-") as name:
        save(measure(options, Path(name)), options.json)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    drawn = random.Random(options.seed)
    clip_of("640x360", folder)
    rtsp, broker, http = rtsp_server(folder, free_port()), mosquitto(folder, free_port()), free_port()
    write_settings(folder, cameras=camera("cam", rtsp.port, fps=5, reconnect_max_s=2), broker=broker.port, http=http, model=options.model)
    running = daemon(folder, http)
    weights, back_s = [], []
    try:
        rtsp.start()
        broker.start()
        with subscriber(broker.port) as heard:
            running.start()
            frames_after(http, 0)
            for cut in range(options.cuts):
                PAUSE.wait(drawn.uniform(0.0, 1.0))
                rtsp.end(signal.SIGKILL)
                PAUSE.wait(drawn.uniform(0.1, 5.0))
                rtsp.start()
                began, seen = time.monotonic(), total(scrape(http), "ferstream_frames_total", stage="publishing")
                frames_after(http, seen)
                back_s.append(time.monotonic() - began)
                if cut >= SETTLE_CUTS - 1:
                    weights.append(usage(running.pid))
                if cut % 10 == 9:
                    say(
                        f"{cut + 1} cuts, back after {back_s[-1]:.1f} s, {weights[-1].rss_mb:.0f} MB, {weights[-1].threads} threads, {weights[-1].files} files"
                    )
            metrics = scrape(http)
            code = running.end(signal.SIGTERM)
            PAUSE.wait(0.5)
            states = heard.states["cam"]
    finally:
        for server in (running, rtsp, broker):
            server.end()
    first, last = weights[:5], weights[-5:]
    return {
        "cuts": options.cuts,
        "came_back": len(back_s),
        "back_s": {"median": round(statistics.median(back_s), 2), "max": round(max(back_s), 2)},
        "reconnects_counted": total(metrics, "ferstream_camera_reconnects_total"),
        "states": {status: states.count(status) for status in sorted(set(states))},
        "threads": [round(statistics.median(w.threads for w in part), 1) for part in (first, last)],
        "files": [round(statistics.median(w.files for w in part), 1) for part in (first, last)],
        "rss_mb": [round(statistics.median(w.rss_mb for w in part), 1) for part in (first, last)],
        "exit_code": code,
    }


def frames_after(http: int, count: float) -> None:
    """Wait until more frames were analysed."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while total(scrape(http), "ferstream_frames_total", stage="publishing") <= count:
        if time.monotonic() > deadline:
            raise SystemExit(f"the camera did not come back within {BACK_WITHIN_S:g} s")
        PAUSE.wait(0.1)


if __name__ == "__main__":
    main()
