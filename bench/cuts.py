"""Cuts an RTSP stream again and again at random moments and measures what is left behind.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import (
    PAUSE,
    Server,
    Usage,
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
"""Cuts before resources are first measured: by then every code path of a reconnect has run once."""


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
    """Cut the stream ``options.cuts`` times; return the report."""
    clip_of("640x360", folder)
    rtsp, broker, http = rtsp_server(folder, free_port()), mosquitto(folder, free_port()), free_port()
    write_settings(folder, cameras=camera("cam", rtsp.port, fps=5, reconnect_max_s=2), broker=broker.port, http=http, model=options.model)
    running, found = daemon(folder, http), Found()
    try:
        rtsp.start()
        broker.start()
        with subscriber(broker.port) as heard:
            running.start()
            frames_after(http, 0)
            cut_again_and_again(found, random.Random(options.seed), rtsp=rtsp, running=running, cuts=options.cuts)
            metrics = scrape(http)
            code = running.end(signal.SIGTERM)
            PAUSE.wait(0.5)
            states = heard.states["cam"]
    finally:
        for server in (running, rtsp, broker):
            server.end()
    return {
        "cuts": options.cuts,
        **found.report(),
        "reconnects_counted": total(metrics, "ferstream_camera_reconnects_total"),
        "states": {status: states.count(status) for status in sorted(set(states))},
        "exit_code": code,
    }


@dataclass
class Found:
    """What was measured: the seconds until the camera was back, and the use of resources after each cut."""

    back_s: list[float] = field(default_factory=list)
    used: list[Usage] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return medians, those of resources for the first and the last five cuts that count."""
        parts = (self.used[:5], self.used[-5:])
        return {
            "came_back": len(self.back_s),
            "back_s": {"median": round(statistics.median(self.back_s), 2), "max": round(max(self.back_s), 2)},
            **{
                name: [round(statistics.median(getattr(use, name) for use in part), 1) for part in parts]
                for name in ("threads", "files", "rss_mb")
            },
        }


def cut_again_and_again(found: Found, drawn: random.Random, *, rtsp: Server, running: Server, cuts: int) -> None:
    """Kill the RTSP server at a random moment, start it again, wait for the camera; once for each cut."""
    for cut in range(cuts):
        PAUSE.wait(drawn.uniform(0.0, 1.0))
        rtsp.end(signal.SIGKILL)
        PAUSE.wait(drawn.uniform(0.1, 5.0))
        rtsp.start()
        began, seen = time.monotonic(), total(scrape(running.port), "ferstream_frames_total", stage="publishing")
        frames_after(running.port, seen)
        found.back_s.append(time.monotonic() - began)
        if cut >= min(SETTLE_CUTS, cuts) - 1:
            found.used.append(usage(running.pid))
        if cut % 10 == 9:
            use = found.used[-1]
            say(f"{cut + 1} cuts, back after {found.back_s[-1]:.1f} s, {use.rss_mb:.0f} MB, {use.threads} threads, {use.files} files")


def frames_after(http: int, count: float) -> None:
    """Wait until more frames were analysed."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while total(scrape(http), "ferstream_frames_total", stage="publishing") <= count:
        if time.monotonic() > deadline:
            raise SystemExit(f"the camera did not come back within {BACK_WITHIN_S:g} s")
        PAUSE.wait(0.1)


if __name__ == "__main__":
    main()
